/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace: what the kernel did for an environment, in order, in a ring that its observer gave (exo_trace).
 *
 * The ring is struct exo_trace at the start of the first frame, then records. The kernel writes record number `head`
 * (counted from 0 for ever) at head % records, then adds 1 to `head`; it never reads what it has written. An observer
 * copies what is new, looks at `head` again, and knows what was overwritten meanwhile.
 */
#ifndef EXO_TRACE_H
#define EXO_TRACE_H

#include <exo/types.h>

#define EXO_TRACE_VERSION	1
#define EXO_TRACE_FRAMES_MAX	256	/* of one ring */
#define EXO_TRACES_MAX		64	/* in the machine */

/* What is recorded, a bit each. EXO_TRACE_END always is. */
#define EXO_TRACE_CALLS		0x1
#define EXO_TRACE_EXCEPTIONS	0x2
#define EXO_TRACE_UPCALLS	0x4
#define EXO_TRACE_SWITCHES	0x8
#define EXO_TRACE_ALL		0xf

/* Kinds of records: what `number` and `word` are. */
#define EXO_TRACE_CALL		1	/* the call's number; its arguments */
#define EXO_TRACE_RESULT	2	/* of the last call, if it comes back: its number; the result */
#define EXO_TRACE_EXCEPTION	3	/* vector; error code, address, rip */
#define EXO_TRACE_UPCALL	4	/* EXO_UPCALL_*; reasons; or badge and caller; or until when */
#define EXO_TRACE_RUNS		5	/* it is given the CPU of this number */
#define EXO_TRACE_WAITS		6	/* it is interrupted and loses the CPU; rip */
#define EXO_TRACE_END		7	/* cause; status, rip: the last record */

#define EXO_UPCALL_RUN		0
#define EXO_UPCALL_CALL		1
#define EXO_UPCALL_END		2

struct exo_trace_record {
	exo_time_t time;
	uint32_t kind, number;
	uint64_t word[6];
};

struct exo_trace {
	uint32_t version, size;		/* EXO_TRACE_VERSION, bytes of a record */
	exo_env_id_t env;		/* whose */
	uint64_t head;			/* records ever written */
	uint32_t records;		/* that there is room for */
	uint32_t mask;
	uint64_t spare[4];
};

#ifndef __ASSEMBLER__
_Static_assert(sizeof(struct exo_trace_record) == 64 && sizeof(struct exo_trace) == 64, "in step");
#endif

#endif
