/* Plug-ins as files: what can be known before the system's loader is let at one. */
#ifndef CLGRAD_PLUGIN_FILE_H
#define CLGRAD_PLUGIN_FILE_H

#include <clgrad/status.h>

/* CG_OK for a shared object that is all there; else CG_ERR_DEVICE with the reason, without the file's name. The loader
 * maps a file that was cut short as if it were whole, and the process dies when it reads behind the end. */
cg_status cg_plugin_file_check(const char *path) CG_MUST_USE;

#endif
