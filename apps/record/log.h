/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: what a recorder has seen, in frames of its own, for whoever can read the machine's memory from outside.
 *
 * exo run gives the emulator a file as the machine's memory and looks for the head's frame there (tools/exolib/memory.py);
 * so entries leave the machine without a device, and are there when nothing in it runs any more. The head's frame has
 * the head at its start; entry i lies at entry i % room of the runs, one after the other, 64 entries in a frame.
 * `written` is the guest's, `taken` the reader's; entries that there is no room for are lost and counted.
 *
 * An entry is a struct exo_trace_record. In its `kind` the high half is the number of the patient that it is about; the
 * low half is EXO_TRACE_* or LOG_*. All is little-endian; fields are only appended.
 */
#ifndef APPS_RECORD_LOG_H
#define APPS_RECORD_LOG_H

#include <exo/trace.h>
#include "libos/core/core.h"

#define LOG_MAGIC	"EXO-RECORDER-1\r\n"
#define LOG_VERSION	1
#define LOG_RUNS_MAX	256
#define LOG_PATIENTS_MAX 56	/* at a time */

/* Kinds beside EXO_TRACE_*: what `number` and `word` are. */
#define LOG_PATIENT	100	/* -; environment's id, image, its bytes, name (16 bytes) */
#define LOG_LOST	101	/* -; records of the kernel's that were overwritten before they could be read */
#define LOG_SAMPLE	102	/* return addresses that follow, in LOG_STACK | words of the stack, in LOG_COPY, << 16;
				 * rip, rsp, ns of CPU time that it stands for, CPU, rbp, upcalls-off flag */
#define LOG_STACK	103	/* how many; return addresses, the innermost first */
#define LOG_FLOW	104	/* index; packets and bytes in, dropped, packets and bytes out, environment's index */
#define LOG_FLOW_NAME	105	/* index; label (16 bytes) */
#define LOG_ENV		106	/* CPU; ns, entries, exceptions, interrupts, upcalls, frames */
#define LOG_CPU		107	/* index; idle ns, switches, interrupts */
#define LOG_SLICE	108	/* index; CPU, the environment's index that it is bound to, ns used in it */
#define LOG_NAME	110	/* LOG_NAMES_* << 24 | part << 16 | index; 48 bytes of a text, NUL-padded */
#define LOG_UNKNOWN	109	/* -; ns of CPU time that no sample stands for */
#define LOG_COPY	111	/* how many; words of the stack from rsp on */

#define LOG_NAMES_CALL	0	/* of a call: name,letters,its arguments' names */
#define LOG_NAMES_ERROR	1
#define LOG_NAMES_VECTOR 2

struct log_patient {
	uint32_t ring_first, ring_frames;	/* the kernel's ring */
	uint64_t shown;				/* records of it that are in the log, or were lost */
	uint32_t number, spare;
};

struct log_head {
	char magic[16];
	uint64_t self;		/* the head's frame */
	uint32_t version, entry_bytes;
	uint64_t room, written, taken, lost;
	uint32_t runs, spare;
	struct {
		uint32_t first, frames;
	} run[LOG_RUNS_MAX];
	struct log_patient patient[LOG_PATIENTS_MAX];	/* ring_frames 0: none */
};

_Static_assert(sizeof(struct log_head) <= EXO_PAGE_SIZE, "one frame");

/* Make it, of at most so many frames. False: there is no memory. */
bool log_make(uint32_t frames);
/* One entry more, if there is room. */
void log_put(const struct exo_trace_record *entry);
/* The same from its parts, about a patient (0 for none), now. */
void log_write(unsigned patient, uint32_t kind, uint64_t number, const uint64_t word[6]);
/* How many entries there is room for just now. */
uint64_t log_room(void);
struct log_head *log_head(void);

#endif
