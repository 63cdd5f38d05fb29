/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names, units and rights that the kernel and every libOS share.
 *
 * A capability handle is what an application passes to a call: the slot in its own capability table in the low half,
 * the slot's generation in the high half. A slot's generation grows each time it is emptied, so a handle that was kept
 * too long names nothing. Nothing here is ever renumbered; new values are appended.
 */
#ifndef EXO_TYPES_H
#define EXO_TYPES_H

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

typedef uint64_t exo_cap_t;     /* generation << 32 | slot */
typedef uint64_t exo_env_id_t;  /* generation << 32 | index in the exposed table; never reused */
typedef uint64_t exo_time_t;    /* nanoseconds of the monotonic clock (exo/info.h) */
typedef uint64_t exo_vaddr_t;   /* virtual address, bytes */
typedef uint32_t exo_pfn_t;     /* physical frame number, 4096-byte units */

static inline uint32_t exo_cap_slot(exo_cap_t cap)
{
	return (uint32_t)cap;
}

static inline exo_cap_t exo_cap_make(uint32_t slot, uint32_t generation)
{
	return (exo_cap_t)generation << 32 | slot;
}
#endif

#define EXO_ABI_MAJOR		0
#define EXO_ABI_MINOR		2

#define EXO_PAGE_SHIFT		12
#define EXO_PAGE_SIZE		4096

#define EXO_CAP_NONE		0	/* slot 0 is never used */
#define EXO_PFN_ANY		0xffffffff	/* exo_frame_take: the kernel may choose */
#define EXO_CPU_NONE		0xffffffff	/* exo_env_move: stop it */
#define EXO_NEVER		0xffffffffffffffff	/* a deadline that does not come */

/* User addresses are below this; the page before the canonical hole is never mapped. */
#define EXO_USER_MIN		0x1000
#define EXO_USER_MAX		0x7ffffffff000

/* Object types, as a capability's `type`. */
#define EXO_TYPE_NONE		0
#define EXO_TYPE_FRAME		1	/* physical frames [first, first + count) */
#define EXO_TYPE_SPACE		2	/* an address space: a root page table */
#define EXO_TYPE_ENV		3	/* an environment */
#define EXO_TYPE_ENTRY		4	/* an environment's transfer entry point with a badge */
#define EXO_TYPE_SLICE		5	/* slices [first, first + count) of one CPU's vector */
#define EXO_TYPE_FLOW		6	/* a claim on packets; a device's root flow claims all */
#define EXO_TYPE_ACCOUNT	7	/* what resources are charged to */
#define EXO_TYPE_CONSOLE	8	/* the machine's console */
#define EXO_TYPE_MACHINE	9	/* the right to stop the machine */
#define EXO_TYPE_CODE		10	/* a downloaded program (exo/code.h) */
#define EXO_TYPE_PORTS		11	/* I/O ports [first, first + count) */
#define EXO_TYPE_INTERRUPTS	12	/* interrupt lines [first, first + count) */
#define EXO_TYPE_BLOCKS		13	/* blocks [first, first + count) of a disk (exo/disk.h) */
#define EXO_TYPE_DISK		14	/* shares [first, first + count) of a disk's time */
#define EXO_TYPE_NODE		15	/* a block of metadata of a volume (exo/registry.h) */
#define EXO_TYPE_COUNT		16

/* Rights. Each type uses those that have a meaning for it; the rest stay clear. */
#define EXO_RIGHT_READ		0x0001	/* frame: map readable; env: inspect; account: demand from it; console, ports, blocks, node: read */
#define EXO_RIGHT_WRITE		0x0002	/* frame: map writable, retype; space: write entries; account: end what is charged to it; console, ports, blocks, node: write */
#define EXO_RIGHT_EXEC		0x0004	/* frame: map executable; entry: call; code: attach, sleep on, run */
#define EXO_RIGHT_GRANT		0x0008	/* env: derive capabilities into its table */
#define EXO_RIGHT_RESTORE	0x0008	/* frame: split; had WRITE, and may write what no sibling holds (exo/space.h) */
#define EXO_RIGHT_CONTROL	0x0010	/* env: start, destroy, make entries, bind slices; account: subdivide, charge
					   environments to it; machine: halt; disk: reset it, with all its shares */
#define EXO_RIGHT_CLAIM		0x0020	/* flow: make narrower flows below it */
#define EXO_RIGHT_BIND		0x0040	/* flow: bind a ring to it, kick it; slice: bind to an environment; code: give it its memory; interrupts: have them; disk: bind a ring, kick it */
#define EXO_RIGHT_WAKE		0x0080	/* env: post it a wake event, yield to it */
#define EXO_RIGHTS_ALL		0x00ff

/* Published bounds: the most that one call does. Beyond it, call again. */
#define EXO_CAPS_PER_FRAME	64	/* slots that one capability-table frame holds */
#define EXO_CAP_FRAMES_MAX	64	/* capability-table frames of one environment */
#define EXO_TAKE_MAX		24	/* frames that one exo_frame_take zeroes */
#define EXO_RANGE_MAX		256	/* frames that one derive or delete step counts */
#define EXO_MAP_BATCH_MAX	128	/* pages that one exo_space_write writes */
#define EXO_UNWIND_MAX		64	/* links that one delete, revoke or destroy step cuts */
#define EXO_CHAIN_MAX		8	/* depth of nested transfers */
#define EXO_PORT_WRITE		0x10	/* exo_port: with the number of bytes: write; else read */
#define EXO_LINES		16	/* interrupt lines that environments can have */
#define EXO_STORM_NS		10000000	/* in this time one may interrupt so often, then it is cut: */
#define EXO_STORM_MAX		64
#define EXO_CONSOLE_MAX		256	/* bytes that one console write sends */
#define EXO_CPUS_MAX		16
#define EXO_SPLIT_MAX	32256	/* frames of a capability that can be split */
#define EXO_REPOSSESS_MAX	64	/* frames that one exo_repossess takes */

#endif
