/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Downloaded code: programs of an application's that the kernel runs where the application cannot.
 *
 * The instruction set is eBPF as RFC 9669 has it: groups base32, base64, divmul32, divmul64, atomic32, atomic64 and
 * program-local calls. A program is checked once, when it is loaded, compiled, and then run at hardware speed; it can
 * reach nothing but its *windows*, and executes at most `fuel` instructions a run. What the check cannot prove of an
 * access is tested at run time; a run that fails such a test, or is out of fuel, stops there, is counted, and has the
 * result EXO_CODE_STOPPED.
 *
 * The application writes struct exo_code, instructions and constants into frames of its own, unmaps them and gives them
 * up (exo_code_load); exo_code_step then checks and compiles, a bounded piece at a time; exo_code_bind gives the program
 * its memory. In frame 0 the program lies at EXO_CODE_INSNS, its constants right behind it, aligned to 8; the frames that
 * these do not fill are for the kernel: they hold what is known while the check runs, then the machine code.
 *
 * A run starts at instruction 0 with r1 = its context, r10 = the top of EXO_CODE_STACK bytes, the others unreadable
 * until written. lddw with src 6 gives the address of byte `next_imm` of window `imm` (0..3, or EXO_WINDOW_DATA).
 * Addresses are not numbers: they can be compared and subtracted within a window and kept on the stack, but not be
 * written elsewhere or returned.
 */
#ifndef EXO_CODE_H
#define EXO_CODE_H

#include <exo/types.h>

#define EXO_CODE_VERSION	1

/* What a program is for, what it finds at r1, and what its result means. */
#define EXO_USE_PACKET		1	/* struct exo_packet; a packet has arrived for its flow: EXO_PACKET_* */
#define EXO_USE_WAKE		2	/* struct exo_wake; may its environment sleep on? 0: yes */
#define EXO_USE_OWNER		3	/* struct exo_block; what does this block own? 0: the block is well formed */

/* Windows. */
#define EXO_WINDOW_MEMORY	0	/* 0..3: frames of the application's */
#define EXO_WINDOWS_OWN		4
#define EXO_WINDOW_DATA		4	/* constants; read only */
#define EXO_WINDOW_CONTEXT	5	/* read only */
#define EXO_WINDOW_PACKET	6	/* read only */
#define EXO_WINDOW_BLOCK	7	/* read only; a copy that nobody else can write */
#define EXO_WINDOW_STACK	8
#define EXO_WINDOWS		9

/* Published bounds. */
#define EXO_INSNS_MAX		4096	/* of any program; fuel, which covers a program's length, allows fewer */
#define EXO_CODE_DATA_MAX	16384	/* bytes of constants */
#define EXO_CODE_STACK		512	/* bytes for each function */
#define EXO_CODE_DEPTH		8	/* functions that call each other */
#define EXO_CODE_FRAMES_MAX	256
#define EXO_WINDOW_FRAMES_MAX	64	/* of one window; a window of EXO_USE_WAKE is one frame */
#define EXO_WATCH_MAX		64	/* windows that end in one frame */
#define EXO_FUEL_PACKET		3072	/* instructions that one run executes at most, by use */
#define EXO_FUEL_WAKE		512
#define EXO_FUEL_OWNER		3072
#define EXO_CODE_COST_MAX	12288	/* fuel times weight, or: EXO_REJECT_FUEL. An instruction weighs 18 if it divides or is
					 * atomic; else 4, and 8 more each for a test at run time and for reading the
					 * block. A program weighs what the dearest of its loops, of its functions, or main
					 * does on average */
#define EXO_CODE_STOPPED	0xffffffffffffffff	/* the result of a run that was stopped */

struct exo_insn {
	uint8_t code;
	uint8_t regs;		/* destination, and source << 4 */
	int16_t offset;
	int32_t imm;
};

/* At the start of the program's first frame. */
#define EXO_CODE_INSNS		512	/* byte offset of the instructions */
#define EXO_WINDOW_WRITE	1	/* the program writes there */

struct exo_code {
	uint32_t version, size;	/* EXO_CODE_VERSION, sizeof */
	uint32_t use;		/* EXO_USE_* */
	uint32_t insns;		/* 1..EXO_INSNS_MAX; lddw counts as two */
	uint32_t data_bytes;
	uint32_t fuel;		/* at least `insns`; at most EXO_FUEL_* of the use */
	struct {
		uint32_t frames;	/* 0: there is no such window */
		uint32_t flags;		/* EXO_WINDOW_WRITE */
	} window[EXO_WINDOWS_OWN];
	char label[16];		/* shown in reports; the kernel does not interpret it */
};

/* --- contexts ------------------------------------------------------------------------------------------------- */

struct exo_packet {
	uint64_t data, end;	/* addresses: the frame's first byte, the one behind its last */
	uint32_t bytes;		/* end - data */
	uint32_t flow;		/* index of the flow */
	exo_time_t time;	/* when it was taken from the device */
};
/* Results of EXO_USE_PACKET. Anything else is EXO_PACKET_KEEP, so is a run that was stopped. */
#define EXO_PACKET_KEEP		0	/* into the flow's ring, as without a program */
#define EXO_PACKET_DROP		1	/* nowhere; counted as dropped */
#define EXO_PACKET_DONE		2	/* nowhere: the program has dealt with it; counted as received */
#define EXO_PACKET_STEER	16	/* 16 + n: to the flow right below that was made with EXO_FLOW_STEERED and n */

struct exo_wake {
	exo_time_t now, until;	/* `until` as given to exo_sleep */
	uint64_t pending;	/* EXO_EVENT_* not yet taken */
	uint64_t events;	/* how many there were since exo_sleep */
};

struct exo_block {
	uint64_t data, end;	/* addresses: EXO_PAGE_SIZE bytes */
	uint64_t block;		/* the block's number */
	uint64_t type;		/* of the metadata, as its maker numbered it */
};

/* --- functions that programs may call ------------------------------------------------------------------------- */
/*
 * number, name, uses (P packet, W wake, O owner), arguments, meaning. Argument letters: n number, w address in a window
 * that the program may write, r address in one that it may read; a w or r is followed by its number of bytes. What does
 * not lie in its window as a whole is refused at run time, and the result is all ones. r1 to r5 are lost.
 */
#define EXO_CODE_CALLS(X) \
	X(1, time, "PW", "",     "ns of the monotonic clock; for P: when the packet came") \
	X(2, wake, "P",  "",     "post EXO_EVENT_WAKE to the flow's environment; 0") \
	X(3, copy, "P",  "wnnn", "to, bytes, offset in the packet, sum: copy to own memory; the Internet checksum's 16-bit sum of the bytes and `sum`") \
	X(4, sum,  "PO", "rnn",  "from, bytes, sum: the 16-bit one's complement sum (RFC 1071) of the bytes and `sum`") \
	X(5, send, "P",  "rn",   "from, bytes: send bytes of own memory as a frame, under the flow's guard; 0, 1 refused, 2 no room") \
	X(6, emit, "O",  "nnn",  "block, count, type: the block that is looked at owns these; 0, or 1 there are EXO_EMITS_MAX")
#define EXO_EMITS_MAX		128

/* --- owner functions ------------------------------------------------------------------------------------------- */

#define EXO_OWNER_FRAMES	2	/* the last of a program of EXO_USE_OWNER's frames are for its runs */

/* Why a run ended. */
#define EXO_STOP_EXIT		0	/* it said exit */
#define EXO_STOP_FUEL		1
#define EXO_STOP_GUARD		2	/* an access outside the block */
#define EXO_STOP_EMITS		3	/* two ranges have a block in common, or one is empty or goes beyond 2^64 - 1 */

/* For exo_code_run, in the argument frame. A run depends on nothing but the bytes of the block that `seen` names, `block`
 * and `type`. */
struct exo_owner_run {
	uint64_t block, type;	/* in: given to the program */
	uint64_t result;	/* out: r0; EXO_CODE_STOPPED, and no emits, if `stop` is not EXO_STOP_EXIT */
	uint64_t seen;		/* bit i: bytes [64 i, 64 i + 64) of the block were read */
	uint32_t stop;		/* EXO_STOP_* */
	uint32_t emits;
	struct {
		uint64_t block, count, type;
	} emit[EXO_EMITS_MAX];	/* by block number, without overlap */
};

#ifndef __ASSEMBLER__
enum exo_code_call {
#define EXO_CODE_CALL_ENUM(number, name, uses, args, meaning) EXO_CODE_CALL_##name = number,
	EXO_CODE_CALLS(EXO_CODE_CALL_ENUM)
#undef EXO_CODE_CALL_ENUM
	EXO_CODE_CALL_COUNT
};
#endif

/* --- what the check says -------------------------------------------------------------------------------------- */

/* number, name, text; `reg`, `known` and `needed` of the report say more where the text names them. */
#define EXO_REJECTS(X) \
	X(1,  HEADER,   "the header is not one: a size, a use or a bound is wrong") \
	X(2,  OPCODE,   "there is no such instruction, or a field that must be 0 is not") \
	X(3,  REGISTER, "there is no such register, or r10 is written") \
	X(4,  JUMP,     "the jump leads out of its function, or into the middle of lddw") \
	X(5,  END,      "control can run past the end of the function") \
	X(6,  UNREACHED, "nothing leads to this instruction") \
	X(7,  RECURSION, "functions call each other in a circle, or more than EXO_CODE_DEPTH deep") \
	X(8,  CALL,     "there is no such function, or programs of this use may not call it") \
	X(9,  UNSET,    "the register has not been written on every way here") \
	X(10, NUMBER,   "a number is needed, and the register holds an address") \
	X(11, ADDRESS,  "an address is needed, and the register holds a number") \
	X(12, WINDOW,   "the register's address is of a window where this cannot be done") \
	X(13, RANGE,    "the access never lies inside the window") \
	X(14, ALIGN,    "an atomic operation, or a saved address, has to be aligned") \
	X(15, STACK,    "this part of the stack has not been written, or lies outside the function's") \
	X(16, ESCAPE,   "an address would leave the program: returned, stored outside the stack, or made a number") \
	X(17, MIXED,    "the register holds different things on different ways here") \
	X(18, FUEL,     "the fuel does not last for the program, or is more than a program that costs so much may have") \
	X(19, WORK,     "too many branches are open at once for the frames given: give more") \
	X(20, ROOM,     "the machine code does not fit the frames given: give more") \
	X(21, TANGLED,  "the check would take too long: too much differs where too many ways meet")

#ifndef __ASSEMBLER__
enum exo_reject {
#define EXO_REJECT_ENUM(number, name, text) EXO_REJECT_##name = number,
	EXO_REJECTS(EXO_REJECT_ENUM)
#undef EXO_REJECT_ENUM
};
#endif

/* What is known of a register: of a number its bounds and bits; of an address, bounds and bits of its offset. */
#define EXO_KIND_UNSET		0
#define EXO_KIND_NUMBER		1
#define EXO_KIND_ADDRESS	2	/* in a window, at an offset */
#define EXO_KIND_MIXED		3	/* different things on different ways */
#define EXO_KIND_END		4	/* the address behind the packet's or the block's last byte */

struct exo_known {
	uint32_t kind;		/* EXO_KIND_* */
	uint32_t window;	/* EXO_WINDOW_* */
	int64_t min, max;	/* as a signed number */
	uint64_t umin, umax;	/* as an unsigned one */
	uint64_t value, unknown;	/* bits: those not in `unknown` are as in `value` */
};

/* What exo_code_step leaves in the argument frame, when it is done or has rejected the program. */
struct exo_code_report {
	uint32_t reject;	/* EXO_REJECT_*; 0: accepted */
	uint32_t insn;		/* where */
	uint32_t reg;		/* which register it is about */
	uint32_t needed_window;
	struct exo_known known;
	uint64_t needed_min, needed_max;	/* legal offsets, numbers, or frames, as the text says */
	uint32_t insns, accesses, guarded;	/* memory accesses, and those tested at run time */
	uint32_t native_bytes;
	uint32_t depth;		/* functions above each other, at most */
	uint32_t spare[3];
};

#ifndef __ASSEMBLER__
_Static_assert(sizeof(struct exo_insn) == 8, "RFC 9669, section 3");
_Static_assert(sizeof(struct exo_owner_run) == 40 + 24 * EXO_EMITS_MAX, "struct exo_owner_run");
_Static_assert(sizeof(struct exo_code) <= 128, "fits before the kernel's part of the first 512 bytes");
#endif

#endif
