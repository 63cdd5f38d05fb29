/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Downloaded programs, from an object file (`clang -target bpf`) or written at run time, to ready.
 *
 * Each has a capability of its own for its frames and one for each window that the library makes; the windows are mapped
 * in the own space, so a program's variables are the application's, too: found by name with code_variable(). What a
 * window shall be can be given instead: a ring, or memory of another program's.
 */
#ifndef LIBOS_CORE_CODE_H
#define LIBOS_CORE_CODE_H

#include <exo/code.h>
#include "libos/core/code_object.h"
#include "libos/core/core.h"

/* Memory of the caller's for a window: frames from `first` on of a capability; cap EXO_CAP_NONE: the library makes it. */
struct code_memory {
	exo_cap_t cap;
	uint32_t first;
	void *at;		/* where it is mapped; may be NULL */
};

struct code_program {
	exo_cap_t cap;		/* for exo_flow_attach, core_sleep_on, exo_code_run; EXO_CAP_NONE: not loaded */
	exo_cap_t frames;	/* what it lies in */
	exo_cap_t memory[EXO_WINDOWS_OWN];	/* made here; EXO_CAP_NONE: the caller's, or none */
	void *at[EXO_WINDOWS_OWN];
	uint32_t bytes[EXO_WINDOWS_OWN];
	struct exo_code_report report;
	const char *wrong;	/* why it is not loaded, or NULL; a rejection's line: code_report.h */
};

/*
 * Check, compile and bind a program; its windows are zeroed. `given` (EXO_WINDOWS_OWN of them, or NULL) names memory for
 * windows. Frames are taken by number, more of them if the check asks for that. Returns 0, or an error: EXO_EREJECTED,
 * with what to say in out->report; of frame_take, code_load, code_bind; EXO_EINVAL for a bad object. out->wrong says
 * which. Nothing is left behind then.
 */
int64_t code_load(struct code_program *out, const struct exo_code *header, const struct exo_insn *insn, const void *data,
    const struct code_memory *given);
/* The same for an object file in memory, which must stay for code_variable(). A window that is given is not written. */
int64_t code_load_object(struct code_program *out, struct code_object *object, const void *file, size_t size,
    const struct code_memory *given);
/* Where a variable lies; NULL: there is none of this name and size. */
void *code_variable(const struct code_program *program, const struct code_object *object, const char *name, size_t bytes);
/* Take it apart, with its memory. */
void code_unload(struct code_program *program);

#endif
