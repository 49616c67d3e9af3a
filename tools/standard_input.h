/* Standard input as a file that can be read twice: what is sniffed, decoded or mapped cannot be a pipe. */
#ifndef CLGRAD_TOOLS_STANDARD_INPUT_H
#define CLGRAD_TOOLS_STANDARD_INPUT_H

#include <clgrad/status.h>

#define STANDARD_INPUT_SIZE 256

/* Copies standard input to a new file and says its path. The caller removes it. CG_ERR_FILE also when it is empty. */
cg_status standard_input_keep(char path[STANDARD_INPUT_SIZE]) CG_MUST_USE;

#endif
