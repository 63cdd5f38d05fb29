/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel exposes read-only: one contiguous run of frames, made for the purpose.
 *
 * Frame 0 is struct exo_info with the clock; the tables follow at the byte offsets it names, each with its stride and
 * number of entries, so that fields can be appended. Whoever holds the `info` frame capability maps what it needs.
 * Readers take no lock: an entry's words change one by one, the clock is read under its sequence number.
 */
#ifndef EXO_INFO_H
#define EXO_INFO_H

#include <exo/types.h>

#define EXO_INFO_MAGIC		0x4f464e494f584545	/* "EEXOINFO" */
#define EXO_INFO_VERSION	1

/* Frame states. */
#define EXO_FRAME_ABSENT	0	/* no memory here, or the firmware's */
#define EXO_FRAME_FREE		1
#define EXO_FRAME_OWNED		2	/* ordinary memory of somebody */
#define EXO_FRAME_TABLE		3	/* a page table; readable, never writable */
#define EXO_FRAME_LINKS		4	/* links beside a page table */
#define EXO_FRAME_CAPS		5	/* a capability table; readable, never writable */
#define EXO_FRAME_DISP		6	/* a dispatcher page */
#define EXO_FRAME_ARG		7	/* an argument frame */
#define EXO_FRAME_ENV		8
#define EXO_FRAME_FLOW		9
#define EXO_FRAME_RING		10	/* bound to a flow: a device may write to it */
#define EXO_FRAME_ACCOUNT	11
#define EXO_FRAME_KERNEL	12	/* the kernel's own, from boot on */
#define EXO_FRAME_INFO		13
#define EXO_FRAME_CODE		14	/* a downloaded program; nobody can write it */
#define EXO_FRAME_SPLIT		16	/* which frames a split capability still holds */
#define EXO_FRAME_VOLUME	17	/* what is known of a volume, and its buffers; readable, never writable */

#define EXO_FRAME_DEVICE	15	/* a device's memory: uncached wherever it is mapped */

/* Environment states. */
#define EXO_ENV_NONE		0
#define EXO_ENV_MADE		1	/* not started */
#define EXO_ENV_READY		2	/* runs or can run */
#define EXO_ENV_ASLEEP		3
#define EXO_ENV_CALLING		4	/* waits for a transfer's reply */
#define EXO_ENV_ENDED		5	/* see cause; waits to be destroyed */
#define EXO_ENV_STOPPED		6	/* runs on no CPU until it is moved to one */

/* Why an environment ended: an exception's vector (0..31), or: */
#define EXO_CAUSE_EXIT		64	/* exo_env_exit by itself; `status` is its own */
#define EXO_CAUSE_DESTROYED	65
#define EXO_CAUSE_PROTOCOL	66	/* broke the dispatcher page's rules */
#define EXO_CAUSE_REPOSSESSED	67	/* owed frames that it had made tables of */

struct exo_clock {
	uint32_t sequence;	/* odd while the kernel writes */
	uint32_t error_ppm;	/* of the rate, as known so far */
	uint64_t counter;	/* time = ns + ((rdtsc - counter) * scale >> 32) */
	uint64_t ns;
	uint64_t scale;		/* nanoseconds per tick, 32.32 fixed point */
	uint64_t wall_s;	/* Unix time in seconds at time 0; 0: unknown */
	char source[16];	/* "hpet", "pmtimer", "pit", "hypervisor" */
};

struct exo_frame_info {
	uint8_t state;		/* EXO_FRAME_* */
	uint8_t flags;
	uint16_t holds;		/* capabilities that cover it */
	uint32_t owner;		/* index of the environment that took it */
};

struct exo_env_info {
	exo_env_id_t id;	/* 0: never used */
	uint32_t state;		/* EXO_ENV_* */
	uint32_t cause;		/* once ended */
	uint64_t status;	/* exit status, or the address of the fault */
	uint64_t rip;		/* where it ended */
	char label[16];
	uint64_t entries;	/* kernel entries by call */
	uint64_t exceptions;	/* entries by exception */
	uint64_t interrupts;	/* entries by interrupt while it ran */
	uint64_t upcalls;
	uint64_t switches;	/* times it was given the CPU from another */
	uint64_t ns;		/* CPU time */
	uint32_t frames;	/* frames that it took and still holds */
	uint32_t cpu;
	uint64_t overrun_ns;	/* time beyond the ends of its slices, ever */
	uint64_t debt_ns;	/* of that, what is still to be paid back */
	uint32_t predicates;	/* runs of programs that it slept on ... */
	uint32_t predicates_stopped;	/* ... and how many of them were stopped */
};

/* One CPU; a cache line pair of its own, written by this CPU only. */
struct exo_cpu_info {
	uint32_t id;		/* the machine's number for it */
	uint32_t state;		/* EXO_CPU_ABSENT, EXO_CPU_RUNS */
	uint64_t idle_ns;
	uint64_t switches;	/* address spaces loaded */
	uint64_t interrupts;	/* timer, devices and other CPUs */
	uint64_t invalidations;	/* of the TLB */
	uint64_t asked;		/* interrupts from other CPUs */
	uint64_t lock_waits;	/* times that the kernel's lock was not free */
	uint64_t longest_ns;	/* longest stay in the kernel, where it is measured; else 0 */
	uint64_t spare[8];
};
#define EXO_CPU_ABSENT	0
#define EXO_CPU_RUNS	1

/* Slice s of CPU c is entry c * EXO_SLICES + s. */
struct exo_slice_info {
	uint32_t env;		/* index of the environment bound to it; 0: none */
	uint32_t taken;		/* 1: somebody owns it */
	uint64_t used_ns;
};

struct exo_flow_info {
	uint32_t state;		/* 0 free, 1 made, 2 bound */
	uint32_t env;		/* index of the environment that bound it */
	uint32_t device, depth;
	char label[16];
	uint64_t rx_packets, rx_bytes, rx_dropped;
	uint64_t tx_packets, tx_bytes, tx_refused;
	uint64_t runs, stopped;	/* of its program, and of these those that failed a test or were out of fuel */
	uint64_t instructions;	/* that these took of the program's fuel */
	uint64_t ns;		/* CPU time at arrival, of batches in which its program ran */
	uint64_t rx_direct;	/* of rx_bytes: what the device itself wrote into the slots (EXO_FLOW_OWN); the rest was copied */
	uint64_t rx_over;	/* of rx_dropped: because its budget, or that of one above, was spent (exo/flow.h) */
};

struct exo_device_info {
	uint32_t kind;		/* 0 none, 1 network, 2 disk */
	uint32_t flags;		/* network: EXO_NET_*. Disk: EXO_DISK_* (exo/disk.h) */
	uint8_t address[8];	/* network: the hardware address, 6 bytes. Disk: first byte: its number */
	char name[16];		/* "net0"; a disk's, "disk0", with its driver's behind the NUL, from byte 8 on */
	union {
		struct {
			uint64_t rx_packets, rx_unclaimed, tx_packets;
		};
		struct {
			uint64_t read_blocks, written_blocks, flushes;
		};
	};
	uint64_t interrupts;
	uint64_t errors;	/* indices and lengths from the device that could not be; disk: and requests that failed */
	uint64_t blocks;	/* disk: how many it has */
	uint64_t busy_ns;	/* disk: time in which requests were under way */
	uint64_t refused;	/* disk: requests that a check refused */
};

struct exo_table_info {
	uint32_t offset;	/* bytes from the start of the run */
	uint32_t stride;	/* bytes of one entry */
	uint32_t entries;
	uint32_t spare;
};

#define EXO_NET_CUTS		1	/* cuts large frames into TCP segments, and sums them: EXO_TX_CUT (exo/flow.h) */

#define EXO_DEVICES_MAX		8
#define EXO_SLICES		64	/* of one CPU's vector */

struct exo_info {
	uint64_t magic;
	uint32_t version, size;
	uint32_t abi_major, abi_minor;
	uint32_t frames_total;	/* entries of the frame table: highest frame + 1 */
	uint32_t frames_free;
	uint32_t frames_memory;	/* frames that are memory at all */
	uint32_t cpus;
	uint64_t slice_ns;
	uint64_t cpu_features;	/* EXO_CPU_* */
	struct exo_table_info envs, slices, flows, frames;
	struct exo_clock clock;
	struct exo_device_info device[EXO_DEVICES_MAX];
	uint64_t spare[4];
	struct exo_table_info cpu;	/* struct exo_cpu_info for each of `cpus` */
	uint64_t grace_ns;		/* how long the CPU is lent after a slice to who has set end_entry */
	uint32_t frames_promised;	/* of the free ones, for accounts whose demands were met */
	uint32_t seed;			/* the kernel argument `seed`; 0: none */
	uint32_t console_reader;	/* index of the environment that reads the console; 0: none */
	uint32_t interrupts_cut;	/* times that a line interrupted too often and was cut off for a while */
	uint32_t console_lost;		/* times that input came faster than it was taken from the device, and was lost */
};

#define EXO_CPU_FSGSBASE	1	/* user mode may write its FS base itself */

#ifndef __ASSEMBLER__
_Static_assert(sizeof(struct exo_frame_info) == 8, "8 bytes a frame");
_Static_assert(sizeof(struct exo_env_info) == 128, "stride of the environment table");
_Static_assert(sizeof(struct exo_cpu_info) == 128, "lines of its own");
_Static_assert(sizeof(struct exo_info) <= EXO_PAGE_SIZE, "one frame");
#endif

#endif
