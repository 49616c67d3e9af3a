/* Kinds that the program registered. */
#ifndef CLGRAD_CORE_CUSTOM_H
#define CLGRAD_CORE_CUSTOM_H

#include <clgrad/op_kinds.h>

/* Numbers of registered kinds begin here. */
#define CG_FIRST_CUSTOM 0x10000u

/* The record of a registered kind; NULL when the number is none. */
const cg_op_kind *cg_custom_kind(uint32_t number);

#endif
