/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Downloaded programs as objects: loading, checking in steps, giving memory, taking apart.
 *
 * Where things lie in the frames, in this order:
 *   0		the report, once the header has been read
 *   CODE_PLACE	struct code
 *   512	instructions, as loaded; constants
 *   then	notes; where each instruction's machine code begins
 *   next page	work memory of the check, and then, in its place, machine code
 *   the end	of an owner function: the block that it runs on, and what it emits
 *
 * Frames become CODE when they are loaded, so nobody can change what is being checked; the check and the compiler come
 * back after about STEP_BUDGET instructions and keep all of their state in these frames. A window is found from its
 * capability by its last frame, in a list there, because a capability's frames go from the end; so nothing here needs a
 * table, and there is no limit to how many programs there are.
 *
 * A program is taken apart with the last capability that names it, or by force with its frames (reclaim.c). Its windows
 * are let go first; what a device still reads of them stays pinned until that is done (flow_detach).
 */
#include "exo/codes.h"

#define STEP_BUDGET	6500
#define WEIGH_INSNS	300	/* in a step */
#define WEIGHT_LEAST	4
#define WEIGHT_GUARD	8	/* more */
#define WEIGHT_OBSERVE	8
#define WEIGHT_MOST	18
#define STOP_UNITS	24	/* of the budget of a step: to stop a program and let its windows go */
_Static_assert(STOP_UNITS <= STEP_UNITS_MAX, "or an end would say AGAIN for ever");
#define WINDOW_UNITS	12
#define WIPE_UNITS	6	/* for a frame of machine code; others: */
#define FREE_UNITS	1

static uint32_t code_loaded;	/* [k] programs ever loaded */

static struct exo_code_report *report_of(const struct code *code)
{
	return pfn_to_virt(code->self);
}

/* --- loading -------------------------------------------------------------------------------------------- */

static const uint32_t fuel_most[] = {
	[EXO_USE_PACKET] = EXO_FUEL_PACKET, [EXO_USE_WAKE] = EXO_FUEL_WAKE, [EXO_USE_OWNER] = EXO_FUEL_OWNER,
};
/* Frames of one window. */
static const uint32_t frames_most[] = {
	[EXO_USE_PACKET] = EXO_WINDOW_FRAMES_MAX, [EXO_USE_WAKE] = 1, [EXO_USE_OWNER] = 0,
};

static bool header_good(const struct exo_code *header)
{
	unsigned w;

	if (header->version != EXO_CODE_VERSION || header->size != sizeof(*header) ||
	    header->use < EXO_USE_PACKET || header->use > EXO_USE_OWNER || header->insns == 0 ||
	    header->insns > EXO_INSNS_MAX || header->data_bytes > EXO_CODE_DATA_MAX ||
	    header->fuel < header->insns || header->fuel > fuel_most[header->use])
		return false;
	for (w = 0; w < EXO_WINDOWS_OWN; w++) {
		if (header->window[w].frames > frames_most[header->use] ||
		    header->window[w].flags & ~(uint32_t)EXO_WINDOW_WRITE ||
		    (header->window[w].flags && !header->window[w].frames))
			return false;
	}
	return true;
}

static uint32_t notes_at(const struct exo_code *header)
{
	return (EXO_CODE_INSNS + header->insns * 8 + header->data_bytes + 7) & ~7u;
}

/* The first frame that nothing lies in: for work memory and machine code. */
static uint32_t free_frame(const struct exo_code *header)
{
	uint32_t end = notes_at(header) + header->insns * (uint32_t)sizeof(struct bpf_note) +
	    (header->insns + 1) * (uint32_t)sizeof(uint32_t);

	return frames_for(end);
}

/* Frames at the end that runs need. */
static uint32_t run_frames(uint32_t use)
{
	return use == EXO_USE_OWNER ? EXO_OWNER_FRAMES : 0;
}

static void code_init(struct code *code, const struct exo_code *header, exo_pfn_t self, uint32_t frames)
{
	uint8_t *base = pfn_to_virt(self);
	struct bpf_program *program = &code->program;
	unsigned w;

	__builtin_memset(code, 0, sizeof(*code));
	code->self = self;
	code->frames = frames;
	code->id = ++code_loaded;
	code->native_first = (uint16_t)free_frame(header);
	code->fuel = (uint16_t)header->fuel;
	program->insn = (const struct exo_insn *)(base + EXO_CODE_INSNS);
	program->insns = header->insns;
	program->use = header->use;
	program->note = (struct bpf_note *)(base + notes_at(header));
	program->data = base + EXO_CODE_INSNS + header->insns * 8;
	program->data_bytes = header->data_bytes;
	program->fuel = header->fuel;
	for (w = 0; w < EXO_WINDOWS_OWN; w++) {
		program->window_bytes[w] = header->window[w].frames << EXO_PAGE_SHIFT;
		if (header->window[w].flags & EXO_WINDOW_WRITE)
			program->window_write |= 1u << w;
	}
}

int64_t sys_code_load(uint64_t slot, uint64_t frames_cap, uint64_t first, uint64_t count, uint64_t a4, uint64_t a5)
{
	struct env *env = current_env();
	struct exo_cap *free = cap_free_slot(env, slot);
	struct exo_code header;
	int64_t error;
	exo_pfn_t pfn;
	uint32_t i;

	(void)a4, (void)a5;
	if (count == 0 || count > EXO_CODE_FRAMES_MAX)
		return ERR(INVAL);
	error = cap_need_retypable(env, frames_cap, first, count, &pfn);
	if (error)
		return error;
	if (!free)
		return ERR(SLOT);
	for (i = 0; i < count; i++)
		if (info_frame[pfn + i].holds != 1)
			return ERR(BUSY);
	__builtin_memcpy(&header, pfn_to_virt(pfn), sizeof(header));
	if (!header_good(&header) || free_frame(&header) + run_frames(header.use) >= count)
		return ERR(INVAL);
	if (code_loaded == UINT32_MAX)
		return ERR(FULL);

	for (i = 0; i < count; i++)
		frame_retype(pfn + i, EXO_FRAME_CODE, pfn);
	code_init(code_at(pfn), &header, pfn, (uint32_t)count);
	return (int64_t)cap_fill(free, EXO_TYPE_CODE, EXO_RIGHT_READ | EXO_RIGHT_EXEC | EXO_RIGHT_BIND, 0, code_loaded,
	    pfn, NULL, (uint32_t)slot);
}

/* --- checking, compiling -------------------------------------------------------------------------------- */

static int reject(struct code *code, uint32_t why, uint64_t needed)
{
	struct exo_code_report *report = report_of(code);

	*report = (struct exo_code_report){ .reject = why, .needed_min = needed, .needed_max = UINT64_MAX };
	code->state = CODE_REJECTED;
	return -1;
}

static void *free_memory(const struct code *code, size_t *bytes)
{
	*bytes = (size_t)(code->frames - code->native_first - run_frames(code->program.use)) << EXO_PAGE_SHIFT;
	return pfn_to_virt(code->self + code->native_first);
}

/*
 * What an instruction costs at most, in the machine's: a division tests for 0 and for overflow, an atomic one may be a
 * loop, a guard is a comparison with each end. Functions pay by fuel for what they do beyond this.
 */
static unsigned weight_of(const struct exo_insn *insn, const struct bpf_note *note)
{
	uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	if (note->flags & BPF_NOTE_SECOND)
		return 0;
	if (((class == BPF_ALU || class == BPF_ALU64) && (op == BPF_DIV || op == BPF_MOD)) ||
	    (class == BPF_STX && BPF_MODE(insn->code) == BPF_ATOMIC))
		return WEIGHT_MOST;
	return WEIGHT_LEAST + (note->flags & BPF_NOTE_GUARD ? WEIGHT_GUARD : 0) +
	    (note->flags & BPF_NOTE_OBSERVE ? WEIGHT_OBSERVE : 0);
}

/*
 * Fuel counts instructions; a stay in the kernel, the machine's: so what is dear gets less fuel. Fuel is taken for stretches
 * (main's start, a function, what a jump back repeats), and each instruction that is executed lies in one that was paid: a
 * run costs no more than its fuel, times the average of the dearest stretch. sums[i] is the weight of all before i.
 */
static void weigh(struct code *code, const uint32_t *sums, uint32_t first, uint32_t fuel)
{
	uint32_t weight = (sums[first + fuel] - sums[first] + fuel - 1) / fuel;

	if (weight > code->weight)
		code->weight = (uint8_t)weight;
}

static void weigh_jump(struct code *code, const uint32_t *sums, uint32_t i)
{
	const struct exo_insn *insn = &code->program.insn[i];
	bool far = BPF_OP(insn->code) == BPF_CALL || insn->code == (BPF_JMP32 | BPF_JA);

	if (code->program.note[i].charge)
		weigh(code, sums, i + 1 + (uint32_t)(far ? insn->imm : insn->offset), code->program.note[i].charge);
}

static int step_weigh(struct code *code)
{
	const struct bpf_program *program = &code->program;
	uint32_t *sums = (uint32_t *)(program->note + program->insns);
	uint32_t i = code->weighed, end = i + WEIGH_INSNS, insns = program->insns;

	for (sums[0] = 0; i < end && i < 2 * insns; i++) {
		if (i < insns)
			sums[i + 1] = sums[i] + weight_of(&program->insn[i], &program->note[i]);
		else
			weigh_jump(code, sums, i - insns);
	}
	code->weighed = i;
	if (i < 2 * insns)
		return 1;
	weigh(code, sums, 0, code->fuel - program->fuel);
	if (code->fuel * code->weight > EXO_CODE_COST_MAX) {
		(void)reject(code, EXO_REJECT_FUEL, program->insns);
		report_of(code)->needed_max = EXO_CODE_COST_MAX / code->weight;
		return -1;
	}
	code->compile = (struct bpf_compile){ .program = program, .key = arch_random(),
		.at = (uint32_t *)(program->note + program->insns) };
	code->compile.out = free_memory(code, &code->compile.room);
	arch_bpf_compile_begin(&code->compile);
	code->state = CODE_COMPILE;
	return 1;
}

static int step_check(struct code *code)
{
	size_t bytes;
	void *work;
	int left;

	if (!code->check) {
		work = free_memory(code, &bytes);
		__builtin_memset(report_of(code), 0, sizeof(struct exo_code_report));
		code->check = bpf_check_begin(&code->program, work, bytes);
		return code->check ? 1 : reject(code, EXO_REJECT_WORK, 0);
	}
	left = bpf_check_step(code->check, STEP_BUDGET, report_of(code));
	if (left > 0)
		return 1;
	if (left < 0) {
		code->state = CODE_REJECTED;
		return -1;
	}
	code->weighed = 0;
	code->state = CODE_WEIGH;
	return 1;
}

static int step_compile(struct code *code)
{
	int left = arch_bpf_compile_step(&code->compile, STEP_BUDGET);
	struct exo_code_report *report = report_of(code);

	if (left > 0)
		return 1;
	if (left < 0)
		return reject(code, EXO_REJECT_ROOM, frames_for(code->compile.bytes));
	report->native_bytes = (uint32_t)code->compile.bytes;
	code->state = CODE_OPEN;
	return 1;
}

/* All windows bound, compiled, nothing in the way. */
static void make_ready(struct code *code)
{
	unsigned w;

	for (w = 0; w < EXO_WINDOWS_OWN; w++)
		if (code->program.window_bytes[w] && !code->window[w].cap)
			return;
	if (code->state == CODE_DONE)
		__atomic_store_n(&code->ready, true, __ATOMIC_RELEASE);
}

static void window_fill(struct code *code, unsigned w)
{
	code->run.window[w] = (struct bpf_window){ pfn_to_virt(code->window[w].pfn), code->program.window_bytes[w] };
}

static int step_open(struct code *code)
{
	size_t bytes = report_of(code)->native_bytes;
	unsigned w;

	code->native_frames = (uint16_t)frames_for(bytes);
	code->native = arch_code_open(code->self + code->native_first, bytes);
	smp_forget();
	__builtin_memset(&code->run, 0, sizeof(code->run));
	code->run.window[EXO_WINDOW_DATA] = (struct bpf_window){ (uint8_t *)(uintptr_t)code->program.data,
		code->program.data_bytes };
	code->state = CODE_DONE;
	for (w = 0; w < EXO_WINDOWS_OWN; w++)
		if (code->window[w].cap)
			window_fill(code, w);
	make_ready(code);
	return 0;
}

static int (*const steps[])(struct code *) = {
	[CODE_CHECK] = step_check, [CODE_WEIGH] = step_weigh, [CODE_COMPILE] = step_compile, [CODE_OPEN] = step_open,
};

int64_t sys_code_step(uint64_t code_cap, uint64_t offset, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	int64_t error;
	const struct exo_cap *cap = cap_need(current_env(), code_cap, EXO_TYPE_CODE, EXO_RIGHT_BIND, &error);
	struct exo_code_report *out = call_argument(offset, sizeof(*out));
	struct code *code;

	(void)a2, (void)a3, (void)a4, (void)a5;
	if (!cap)
		return error;
	if (!out || offset % sizeof(uint64_t))
		return ERR(RANGE);
	code = code_behind(cap);
	if (!code || code->state == CODE_ENDING)
		return ERR(STATE);
	if (code->state < CODE_DONE && steps[code->state](code) > 0)
		return ERR(AGAIN);
	*out = *report_of(code);
	return code->state == CODE_DONE ? 0 : ERR(REJECTED);
}

/* --- memory --------------------------------------------------------------------------------------------- */

static exo_pfn_t window_last(const struct code *code, unsigned w)
{
	return code->window[w].pfn + (code->program.window_bytes[w] >> EXO_PAGE_SHIFT) - 1;
}

/* Can these frames, which a capability covers, be a window? */
static int64_t window_usable(exo_pfn_t pfn, uint32_t count)
{
	const struct frame *last = &frame_table[pfn + count - 1];
	exo_pfn_t at = last->object;
	unsigned w = last->level, length = 0;
	uint32_t i;

	for (i = 0; i < count; i++)
		if (!frame_in(pfn + i, FRAME_ORDINARY) || frame_table[pfn + i].pins == UINT16_MAX)
			return ERR(BUSY);
	while (at && ++length < CODE_WINDOWS_MAX) {
		const struct code *code = code_at(at);

		at = code->window[w].next;
		w = code->next_window[w];
	}
	return at ? ERR(FULL) : 0;
}

static void window_bind(struct code *code, unsigned w, struct exo_cap *cap, exo_pfn_t pfn)
{
	struct frame *last;
	uint32_t i;

	code->window[w].cap = cap;
	code->window[w].pfn = pfn;
	cap->flags |= CAP_WINDOWS;
	last = &frame_table[window_last(code, w)];
	code->window[w].next = last->object;
	code->next_window[w] = last->level;
	last->object = code->self;
	last->level = (uint8_t)w;
	for (i = 0; i < code->program.window_bytes[w] >> EXO_PAGE_SHIFT; i++)
		frame_pin(pfn + i);
	if (code->state == CODE_DONE)
		window_fill(code, w);
	make_ready(code);
}

static void window_unlink(struct code *code, unsigned w)
{
	struct frame *last = &frame_table[window_last(code, w)];
	exo_pfn_t *link = &last->object;
	uint8_t *number = &last->level;

	while (*link != code->self || *number != w) {
		struct code *at = code_at(*link);
		unsigned of = *number;

		link = &at->window[of].next;
		number = &at->next_window[of];
	}
	*link = code->window[w].next;
	*number = code->next_window[w];
}

/* Its program is not run any more. */
static void window_unbind(struct code *code, unsigned w)
{
	exo_pfn_t pfn = code->window[w].pfn;
	uint32_t i;

	window_unlink(code, w);
	code->window[w] = (struct code_window){ 0 };
	code->next_window[w] = 0;
	for (i = 0; i < code->program.window_bytes[w] >> EXO_PAGE_SHIFT; i++)
		frame_unpin(pfn + i);
}

int64_t sys_code_bind(uint64_t code_cap, uint64_t window, uint64_t frames_cap, uint64_t first, uint64_t a4, uint64_t a5)
{
	struct env *env = current_env();
	int64_t error;
	const struct exo_cap *cap = cap_need(env, code_cap, EXO_TYPE_CODE, EXO_RIGHT_BIND, &error);
	struct exo_cap *frames;
	unsigned rights = EXO_RIGHT_READ;
	struct code *code;
	exo_pfn_t pfn;
	uint32_t count;

	(void)a4, (void)a5;
	if (!cap)
		return error;
	code = code_behind(cap);
	if (!code || code->state == CODE_ENDING || code->state == CODE_REJECTED)
		return ERR(STATE);
	if (window >= EXO_WINDOWS_OWN || !code->program.window_bytes[window])
		return ERR(INVAL);
	count = code->program.window_bytes[window] >> EXO_PAGE_SHIFT;
	if (code->program.window_write >> window & 1)
		rights |= EXO_RIGHT_WRITE;
	frames = cap_need_frames(env, frames_cap, rights, first, count, &pfn, &error);
	if (!frames)
		return error;
	if (code->window[window].cap)
		return ERR(BUSY);
	error = window_usable(pfn, count);
	if (error)
		return error;

	window_bind(code, (unsigned)window, frames, pfn);
	return 0;
}

/* --- ends ----------------------------------------------------------------------------------------------- */

void code_stop(struct code *code)
{
	assert_locked();
	__atomic_store_n(&code->ready, false, __ATOMIC_SEQ_CST);
	if (code->program.use == EXO_USE_PACKET && code->flow)
		flow_detach(code->flow);
	if (code->program.use != EXO_USE_WAKE)
		return;
	smp_quiet();	/* who found it ready has gone to sleep on it by now */
	if (code->sleeper)
		wake_code_gone(code);
	code->sleeper = NULL;
}

bool code_cut(struct exo_cap *cap, exo_pfn_t first, uint32_t count, unsigned *budget)
{
	exo_pfn_t pfn, at;
	unsigned w;

	for (pfn = first; pfn < first + count; pfn++) {
		if (!frame_in(pfn, FRAME_ORDINARY))
			continue;
		at = frame_table[pfn].object;
		w = frame_table[pfn].level;
		while (at) {
			struct code *code = code_at(at);
			unsigned of = w;

			at = code->window[of].next;
			w = code->next_window[of];
			if (code->window[of].cap != cap)
				continue;
			if (!afford(budget, WINDOW_UNITS))
				return false;
			code_stop(code);
			window_unbind(code, of);
		}
	}
	return true;
}

bool code_end(exo_pfn_t self, unsigned *budget)
{
	struct code *code = code_at(self);
	bool wipe;
	unsigned w;

	if (code->state != CODE_ENDING) {
		if (!afford(budget, STOP_UNITS))
			return false;
		frame_table[self].level = CODE_GOING;	/* first: who has found it before is waited for */
		code_stop(code);
		for (w = 0; w < EXO_WINDOWS_OWN; w++)
			if (code->window[w].cap)
				window_unbind(code, w);
		if (code->native_frames) {
			arch_code_close(self + code->native_first, code->native_frames);
			smp_forget();
		} else {	/* work memory, or half of the machine code: addresses of the kernel's */
			code->native_frames = (uint16_t)(code->frames - code->native_first);
		}
		code->state = CODE_ENDING;
	}
	while (code->frames > 1) {
		wipe = code->frames - 1 >= code->native_first &&
		    (code->frames - 1 < (uint32_t)code->native_first + code->native_frames ||
		     code->program.use == EXO_USE_OWNER);
		if (!afford(budget, wipe ? WIPE_UNITS : FREE_UNITS))
			return false;
		code->frames--;
		if (wipe)
			arch_zero_frame(self + code->frames);
		frame_retype(self + code->frames, EXO_FRAME_OWNED, 0);
	}
	__builtin_memset(report_of(code), 0, CODE_PLACE);
	__builtin_memset(code, 0, sizeof(*code));
	frame_retype(self, EXO_FRAME_OWNED, 0);
	return true;
}

void code_hold(const struct exo_cap *cap)
{
	struct code *code = code_named(cap);

	if (code)
		code->holds++;
}

bool code_unhold(struct exo_cap *cap, unsigned *budget)
{
	struct code *code = code_named(cap);
	uint32_t slot;

	if (!code)
		return true;
	if (code->holds == 1)
		return code_end(code->self, budget);
	if (code->user && code->program.use == EXO_USE_PACKET && flow_attached_through(code->flow, cap)) {
		if (!afford(budget, WINDOW_UNITS))
			return false;
		flow_detach(code->flow);
	}
	if (code->program.use == EXO_USE_WAKE) {
		if (!afford(budget, STOP_UNITS))
			return false;
		smp_quiet();	/* nobody is about to sleep through it */
		if (code->sleeper && code->sleeper == cap_env(cap, &slot))
			wake_code_gone(code);
	}
	code->holds--;
	return true;
}
