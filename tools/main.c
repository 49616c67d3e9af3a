/* The clgrad command: chooses the subcommand. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <clgrad/clgrad.h>

#include "commands.h"
#include "compile_view.h"
#include "exit_status.h"

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} command;

static const command commands[] = {
    {"devices", cmd_devices, "every device that can train, and why a backend has none"},
    {"train", cmd_train, "train a model on images"},
    {"eval", cmd_eval, "loss and accuracy of a trained model"},
    {"predict", cmd_predict, "classes of single images"},
    {"check", cmd_check, "the doctor: prove every op and layer on a device"},
    {"verify", cmd_verify, "replay what PyTorch computed, on any device"},
    {"bench", cmd_bench, "how fast, beside the bare driver"},
    {"tune", cmd_tune, "find the fastest matrix products of a GPU, once"},
    {"info", cmd_info, "what is in a checkpoint or a model: shapes, parameters, cost"},
    {"export", cmd_export, "a checkpoint as a Python module for PyTorch"},
};

#define N_COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *stream) {
    fputs("clgrad COMMAND [flags]\n\nTrains neural networks on any OpenCL device and on the CPU.\n\n", stream);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\nclgrad COMMAND --help shows a command's flags; clgrad --version the backends and libraries.\n\n"
          "Try: clgrad train\n\n",
          stream);
    fputs(exit_status_help, stream);
}

/* The result of a write that only the last flush reports: a full disk must not look like success. */
static int flush_output(int status) {
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_GOOD) {
        fputs("clgrad: cannot write the output\n", stderr);
        return EXIT_DATA;
    }
    return status;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return EXIT_GOOD;
    }
    if (strcmp(name, "--version") == 0) {
        return cmd_version();
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    fprintf(stderr, "clgrad: unknown %s %s (see clgrad --help)\n", *name == '-' ? "flag" : "command", name);
    return EXIT_USAGE;
}

/* Threads that wait spin for some microseconds, then sleep. GNU's OpenMP would spin for milliseconds, which makes
 * training several times slower as soon as another program wants one of the cores; it reads its settings before main,
 * so the program starts again with them. Whoever sets either variable is left alone. */
static void wait_briefly(char **argv) {
    if (getenv("OMP_WAIT_POLICY") == NULL && getenv("GOMP_SPINCOUNT") == NULL) {
        setenv("GOMP_SPINCOUNT", "10000", 1);
        execv("/proc/self/exe", argv); /* where that fails, nothing is lost but time */
    }
}

int main(int argc, char **argv) {
    wait_briefly(argv);
    setlocale(LC_CTYPE, ""); /* only the characters: numbers are always written with a point */
    compile_view_open();
    int status = run(argc, argv);
    compile_view_close();
    return flush_output(status);
}
