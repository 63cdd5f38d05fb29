/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interpreter of downloaded code: what RFC 9669 says, instruction by instruction, in the order of its sections. It
 * is the specification: the compiler has to leave the same (B3), and tests run every program both ways.
 *
 * It believes little of what the check has said: each access is looked up in the window of its note, guarded or not,
 * and the program counter in the program. What only a broken verifier lets happen ends the run with BPF_STOP_ESCAPE.
 * Of the notes it uses `window`, `charge`, REACHED, GUARD and OBSERVE. In instruction-set mode (BPF_USE_PLAIN) any
 * address goes; the caller has seen to it that the instructions are ones.
 *
 * I1 registers that nobody has set are 0; a function that the program calls leaves r1 to r5 as they are here
 * I2 fuel is taken before the jump or call is done; what is left may be below 0 when the run stops; a function that
 *    the program calls takes its own, and the run stops behind it if that was not there
 * I3 a call that would need more than EXO_CODE_DEPTH functions stops as if there were no fuel
 */
#include "exo/bpf.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "programs see the machine's byte order");

/* Memory, of any alignment, reached once. */
typedef volatile uint64_t __attribute__((aligned(1), may_alias)) word64;
typedef volatile uint32_t __attribute__((aligned(1), may_alias)) word32;
typedef volatile uint16_t __attribute__((aligned(1), may_alias)) word16;

struct machine {
	struct bpf_run *run;
	const struct bpf_program *program;
	uint32_t pc;		/* of the instruction that is executed */
	uint32_t next;
	unsigned depth;		/* calls that have not returned */
	bool done;
	uint64_t r[BPF_REGS];
	struct {
		uint64_t kept[4];	/* r6 to r9 */
		uint32_t back;
	} frame[EXO_CODE_DEPTH];
};

static void stop(struct machine *m, uint32_t why)
{
	m->run->stop = why;
	m->done = true;
	m->r[0] = EXO_CODE_STOPPED;
}

/* --- 4.1 arithmetic --------------------------------------------------------------------------------------------- */

static uint64_t signed_divide(bool divide, int64_t a, int64_t b)
{
	if (b == -1)
		return divide ? 0 - (uint64_t)a : 0;
	return (uint64_t)(divide ? a / b : a % b);
}

static uint64_t sign_extend(uint64_t value, unsigned bits)
{
	switch (bits) {
	case 8:
		return (uint64_t)(int8_t)value;
	case 16:
		return (uint64_t)(int16_t)value;
	case 32:
		return (uint64_t)(int32_t)value;
	default:
		return value;
	}
}

/* Of 64 bits, or of 32 in operands without more; the result's upper half is the caller's to cut. */
static uint64_t arithmetic(unsigned op, bool wide, int16_t offset, uint64_t a, uint64_t b)
{
	unsigned bits = wide ? 64 : 32, shift = (unsigned)b & (bits - 1);

	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
	case BPF_MOD:
		if (b == 0)
			return op == BPF_DIV ? 0 : a;
		if (offset == 1)
			return signed_divide(op == BPF_DIV, (int64_t)sign_extend(a, bits),
					     (int64_t)sign_extend(b, bits));
		return op == BPF_DIV ? a / b : a % b;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_LSH:
		return a << shift;
	case BPF_RSH:
		return a >> shift;
	case BPF_NEG:
		return 0 - a;
	case BPF_XOR:
		return a ^ b;
	case BPF_MOV:
		return sign_extend(b, offset ? (unsigned)offset : 64);
	case BPF_ARSH:
		return (uint64_t)((int64_t)sign_extend(a, bits) >> shift);
	default:
		return 0;
	}
}

/* 4.2: swapped, or cut to its width where the byte order is the machine's. */
static uint64_t byte_swap(bool swap, int32_t bits, uint64_t value)
{
	switch (bits) {
	case 16:
		return swap ? __builtin_bswap16((uint16_t)value) : (uint16_t)value;
	case 32:
		return swap ? __builtin_bswap32((uint32_t)value) : (uint32_t)value;
	default:
		return swap ? __builtin_bswap64(value) : value;
	}
}

static void execute_alu(struct machine *m, const struct exo_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
	uint64_t *dst = &m->r[bpf_dst(insn)], a = *dst;
	uint64_t b = insn->code & BPF_SRC_REG ? m->r[bpf_src(insn)] : (uint64_t)(int64_t)insn->imm;

	if (BPF_OP(insn->code) == BPF_END) {
		*dst = byte_swap(wide || insn->code & BPF_SRC_REG, insn->imm, a);
		return;
	}
	if (wide)
		*dst = arithmetic(BPF_OP(insn->code), true, insn->offset, a, b);
	else
		*dst = (uint32_t)arithmetic(BPF_OP(insn->code), false, insn->offset, (uint32_t)a, (uint32_t)b);
}

/* --- 4.3 jumps -------------------------------------------------------------------------------------------------- */

static bool holds(unsigned op, uint64_t a, uint64_t b, int64_t signed_a, int64_t signed_b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JNE:
		return a != b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JLT:
		return a < b;
	case BPF_JLE:
		return a <= b;
	case BPF_JSET:
		return (a & b) != 0;
	case BPF_JSGT:
		return signed_a > signed_b;
	case BPF_JSGE:
		return signed_a >= signed_b;
	case BPF_JSLT:
		return signed_a < signed_b;
	case BPF_JSLE:
		return signed_a <= signed_b;
	default:
		return true;	/* BPF_JA */
	}
}

/* Fuel for what comes after a jump or a call; false: the run is over. */
static bool charge(struct machine *m)
{
	uint16_t due = m->program->note[m->pc].charge;

	m->run->fuel -= due;
	if (m->run->fuel >= 0 || !due)
		return true;
	stop(m, BPF_STOP_FUEL);
	return false;
}

static void execute_call(struct machine *m, const struct exo_insn *insn)
{
	uint64_t *r = m->r;
	bpf_call_fn *function;

	if (bpf_src(insn) != BPF_CALL_LOCAL) {
		function = bpf_called(m->program, insn->imm);
		if (function)
			r[0] = function(r[1], r[2], r[3], r[4], r[5], m->run);
		else
			stop(m, BPF_STOP_ESCAPE);
		if (!m->done && m->run->fuel < 0)
			stop(m, BPF_STOP_FUEL);
		return;
	}
	if (!charge(m))
		return;
	if (m->depth + 1 >= EXO_CODE_DEPTH) {
		stop(m, BPF_STOP_FUEL);
		return;
	}
	for (unsigned i = 0; i < 4; i++)
		m->frame[m->depth].kept[i] = r[6 + i];
	m->frame[m->depth++].back = m->next;
	r[BPF_FRAME] -= EXO_CODE_STACK;
	m->next += (uint32_t)insn->imm;
}

static void execute_exit(struct machine *m)
{
	if (m->depth == 0) {
		m->done = true;
		return;
	}
	m->depth--;
	for (unsigned i = 0; i < 4; i++)
		m->r[6 + i] = m->frame[m->depth].kept[i];
	m->r[BPF_FRAME] += EXO_CODE_STACK;
	m->next = m->frame[m->depth].back;
}

static void execute_jump(struct machine *m, const struct exo_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_JMP;
	unsigned op = BPF_OP(insn->code);
	uint64_t a = m->r[bpf_dst(insn)];
	uint64_t b = insn->code & BPF_SRC_REG ? m->r[bpf_src(insn)] : (uint64_t)(int64_t)insn->imm;
	bool taken;

	if (op == BPF_CALL) {
		execute_call(m, insn);
		return;
	}
	if (op == BPF_EXIT) {
		execute_exit(m);
		return;
	}
	if (wide)
		taken = holds(op, a, b, (int64_t)a, (int64_t)b);
	else
		taken = holds(op, (uint32_t)a, (uint32_t)b, (int32_t)a, (int32_t)b);
	if (taken && charge(m))
		m->next += (uint32_t)(op == BPF_JA && !wide ? insn->imm : insn->offset);
}

/* --- 5 memory --------------------------------------------------------------------------------------------------- */

/* May the instruction reach these bytes? false: the run is over. */
static bool reach(struct machine *m, uint64_t address, unsigned width, bool write)
{
	const struct bpf_note *note = &m->program->note[m->pc];
	const struct bpf_window *window;
	uint64_t offset;
	bool inside;

	if (m->program->use == BPF_USE_PLAIN)
		return true;
	if (note->window >= EXO_WINDOWS || (write && note->window != EXO_WINDOW_STACK &&
	    (note->window >= EXO_WINDOWS_OWN || !(m->program->window_write >> note->window & 1)))) {
		stop(m, BPF_STOP_ESCAPE);
		return false;
	}
	window = &m->run->window[note->window];
	offset = address - (uintptr_t)window->base;
	inside = window->bytes >= width && offset <= window->bytes - width;
	if (!inside)
		stop(m, note->flags & BPF_NOTE_GUARD ? BPF_STOP_GUARD : BPF_STOP_ESCAPE);
	else if (note->flags & BPF_NOTE_OBSERVE && !write)
		m->run->seen |= 1ull << (offset >> BPF_SEEN_SHIFT & 63) |
				1ull << ((offset + width - 1) >> BPF_SEEN_SHIFT & 63);
	return inside;
}

static uint64_t load(uint64_t address, unsigned width)
{
	switch (width) {
	case 1:
		return *(volatile uint8_t *)address;
	case 2:
		return *(word16 *)address;
	case 4:
		return *(word32 *)address;
	default:
		return *(word64 *)address;
	}
}

static void store(uint64_t address, unsigned width, uint64_t value)
{
	switch (width) {
	case 1:
		*(volatile uint8_t *)address = (uint8_t)value;
		break;
	case 2:
		*(word16 *)address = (uint16_t)value;
		break;
	case 4:
		*(word32 *)address = (uint32_t)value;
		break;
	default:
		*(word64 *)address = value;
	}
}

/* Write `to` if there is `from`; false, with what there is in *from, if not. */
static bool compare_exchange(uint64_t address, unsigned width, uint64_t *from, uint64_t to)
{
	uint32_t half = (uint32_t)*from;
	bool done;

	if (width == 8)
		return __atomic_compare_exchange_n((uint64_t *)address, from, to, false, __ATOMIC_SEQ_CST,
						   __ATOMIC_SEQ_CST);
	done = __atomic_compare_exchange_n((uint32_t *)address, &half, (uint32_t)to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
	*from = half;
	return done;
}

/* 5.3: what was there, zero-extended, goes to r0 (CMPXCHG) or, with FETCH, to the source register. */
static void execute_atomic(struct machine *m, const struct exo_insn *insn, uint64_t address, unsigned width)
{
	uint64_t *src = &m->r[bpf_src(insn)], old = load(address, width);
	unsigned op = insn->imm & ~BPF_FETCH;

	if (insn->imm == BPF_CMPXCHG) {
		compare_exchange(address, width, &m->r[0], *src);
		if (width == 4)
			m->r[0] = (uint32_t)m->r[0];
		return;
	}
	while (!compare_exchange(address, width, &old,
				 insn->imm == BPF_XCHG ? *src : arithmetic(op, true, 0, old, *src)))
		continue;
	if (insn->imm & BPF_FETCH)
		*src = old;
}

static void execute_memory(struct machine *m, const struct exo_insn *insn)
{
	unsigned class = BPF_CLASS(insn->code), width = bpf_width(insn->code);
	uint64_t *dst = &m->r[bpf_dst(insn)], *src = &m->r[bpf_src(insn)];
	uint64_t address = (class == BPF_LDX ? *src : *dst) + (uint64_t)insn->offset;

	if (!reach(m, address, width, class != BPF_LDX))
		return;
	if (class == BPF_LDX)
		*dst = BPF_MODE(insn->code) == BPF_MEMSX ? sign_extend(load(address, width), 8 * width) :
		    load(address, width);
	else if (class == BPF_ST)
		store(address, width, (uint64_t)(int64_t)insn->imm);
	else if (BPF_MODE(insn->code) == BPF_ATOMIC)
		execute_atomic(m, insn, address, width);
	else
		store(address, width, *src);
}

/* 5.4: 64 bits in two instructions; with src 6, the address of a byte of a window. */
static void execute_lddw(struct machine *m, const struct exo_insn *insn)
{
	uint64_t *dst = &m->r[bpf_dst(insn)];

	if (m->next++ >= m->program->insns)
		stop(m, BPF_STOP_ESCAPE);
	else if (bpf_src(insn) == 0)
		*dst = (uint64_t)(uint32_t)insn[1].imm << 32 | (uint32_t)insn->imm;
	else if ((uint32_t)insn->imm < EXO_WINDOWS)
		*dst = (uintptr_t)m->run->window[insn->imm].base + (uint32_t)insn[1].imm;
	else
		stop(m, BPF_STOP_ESCAPE);
}

/* --- a run ------------------------------------------------------------------------------------------------------ */

/* Does the program go on where the check has said? false: the run is over. */
static bool may_execute(struct machine *m, const struct exo_insn *insn)
{
	if (m->next < m->program->insns && bpf_dst(insn) < BPF_REGS && bpf_src(insn) < BPF_REGS &&
	    (m->program->use == BPF_USE_PLAIN || m->program->note[m->next].flags & BPF_NOTE_REACHED))
		return true;
	stop(m, BPF_STOP_ESCAPE);
	return false;
}

uint64_t bpf_interpret(struct bpf_run *run, uint64_t r1, uint64_t r2)
{
	const struct bpf_program *program = run->program;
	struct machine m = { .run = run, .program = program };

	m.r[1] = r1;
	m.r[2] = r2;
	m.r[BPF_FRAME] = (uintptr_t)run->top;
	for (run->steps = 0; !m.done; run->steps++) {
		const struct exo_insn *insn = &program->insn[m.next];

		if (!may_execute(&m, insn))
			break;
		m.pc = m.next++;
		switch (BPF_CLASS(insn->code)) {
		case BPF_ALU:
		case BPF_ALU64:
			execute_alu(&m, insn);
			break;
		case BPF_JMP:
		case BPF_JMP32:
			execute_jump(&m, insn);
			break;
		case BPF_LD:
			execute_lddw(&m, insn);
			break;
		default:
			execute_memory(&m, insn);
		}
	}
	return m.r[0];
}
