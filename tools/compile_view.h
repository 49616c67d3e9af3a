/* Says on a terminal that kernels are being compiled, once that takes over a second: the first run on a new driver. */
#ifndef CLGRAD_TOOLS_COMPILE_VIEW_H
#define CLGRAD_TOOLS_COMPILE_VIEW_H

/* From now on, for the compiling that the calling thread does. Does nothing when stderr is no terminal. */
void compile_view_open(void);

/* Ends it. */
void compile_view_close(void);

#endif
