/* The subcommands: each takes the arguments after its name and returns the exit status. */
#ifndef CLGRAD_TOOLS_COMMANDS_H
#define CLGRAD_TOOLS_COMMANDS_H

int cmd_devices(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_tune(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_verify(int argc, char **argv);

/* clgrad --version. */
int cmd_version(void);

#endif
