/* Several devices open at once, for the commands that compare them. */
#ifndef CLGRAD_TOOLS_DEVICE_SET_H
#define CLGRAD_TOOLS_DEVICE_SET_H

#include <clgrad/device.h>

#include "options.h"

#define DEVICES_HELP                                                                                                   \
    "a device string, may be given several times, or all: every device, each OpenCL\n"                                 \
    "one in both profiles; default: CLGRAD_DEVICE, else auto"

typedef struct device_set {
    cg_device **devices;
    char **strings; /* what opened each */
    size_t count;
    bool incomplete; /* one that was named, or that a requirement names, is not there */
} device_set;

/* Opens the devices that the strings name, each once; no string: the default device. One that cannot be opened is named
 * on stderr and makes the set incomplete. EXIT_GOOD, or the exit status after the error was printed. device_set_close
 * afterwards in any case. */
int device_set_open(const text_list *strings, device_set *set);
void device_set_close(device_set *set);

/* Checks a list of backends and drivers, "cpu,pocl,intel": each must have a device in the set, or the set is incomplete
 * and a line on stderr says so. False: the list is not one. */
bool device_set_require(device_set *set, const char *names);

#endif
