/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Environments as such, without a libOS: what making, starting, running, ending and destroying one
 * costs, and what other calls cost while 1 and while 1,000 of them are alive.
 *
 * A minimal environment has 11 frames: root and three levels of tables (6 frames), environment,
 * dispatcher page, argument frame and capability table (4), stack (1). The page of code is the maker's,
 * mapped into each, as spawn maps a program's text from the archive. Its program is one call, again and
 * again: which, says the code page.
 */
#include <string.h>
#include "apps/bench/bench.h"
#include "libos/core/frame.h"
#include "libos/core/space.h"
#include "libos/vm/vm.h"

#define MANY		1000
#define REPEAT		100
#define STATUS		7
#define CODE		0x30000ULL	/* beside the fixed pages: one table of pages does */
#define STACK		0x40000ULL

enum { ROOT, TABLE_512G, TABLE_1G, TABLE_PAGES, ENV = TABLE_PAGES + 3, STACK_FRAME = ENV + 4, FRAMES };

struct minimal {
	exo_cap_t frames, env;
	uint32_t index;			/* in the exposed table */
};

/*
 * The program: rax = number, rdi, rsi, rdx = arguments of its only call, from words behind it. A call
 * that comes back as a RUN upcall begins here again.
 */
struct code {
	uint8_t text[64];
	uint64_t number, argument[3];
};

__asm__(".pushsection .rodata\n"
	"minimal_text:\n"
	"	movq	64 + minimal_text(%rip), %rax\n"
	"	movq	72 + minimal_text(%rip), %rdi\n"
	"	movq	80 + minimal_text(%rip), %rsi\n"
	"	movq	88 + minimal_text(%rip), %rdx\n"
	"	syscall\n"
	"	jmp	minimal_text\n"
	"minimal_text_end:\n"
	".popsection");
extern const uint8_t minimal_text[], minimal_text_end[];

static struct code *code;
static struct frame code_frame;
static struct minimal one, many[MANY];

static void make_code(void)
{
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);

	bench_need(va && frame_alloc_run(1, &code_frame) &&
		   !space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, code_frame.cap, code_frame.first, 1), "page of code");
	code = (struct code *)va;
	memcpy(code->text, minimal_text, (size_t)(minimal_text_end - minimal_text));
}

static void program(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2)
{
	code->number = number;
	code->argument[0] = a0;
	code->argument[1] = a1;
	code->argument[2] = a2;
}

static void describe(unsigned i, exo_vaddr_t va_flags, exo_cap_t cap, uint32_t first, uint32_t count)
{
	((struct exo_map *)core_arg(0))[i] = (struct exo_map){ va_flags, cap, first, count, 0 };
}

/* Space, tables, environment, pages. False: there is no room. */
static bool make(struct minimal *minimal)
{
	static const struct exo_env_params params = { .run_entry = CODE, .label = "minimal" };
	const unsigned rw = EXO_MAP_READ | EXO_MAP_WRITE;
	uint32_t slot = caps_slot();
	int64_t frames = slot ? exo_frame_take(slot, EXO_PFN_ANY, FRAMES) : -EXO_ESLOT, space, env;

	if (frames < 0 || caps_at(slot)->count < FRAMES)
		return false;
	minimal->frames = (exo_cap_t)frames;
	space = exo_space_create(caps_slot(), minimal->frames, ROOT);
	exo_space_table((exo_cap_t)space, CODE, EXO_LEVEL_512G, minimal->frames, TABLE_512G);
	exo_space_table((exo_cap_t)space, CODE, EXO_LEVEL_1G, minimal->frames, TABLE_1G);
	exo_space_table((exo_cap_t)space, CODE, EXO_LEVEL_PAGES, minimal->frames, TABLE_PAGES);
	*(struct exo_env_params *)core_arg(0) = params;
	env = exo_env_create(caps_slot(), (exo_cap_t)space, EXO_CAP_NONE, minimal->frames, ENV, 0);
	describe(0, EXO_VA_DISP | rw, minimal->frames, ENV + 1, 2);
	describe(1, EXO_VA_CAPS | EXO_MAP_READ, minimal->frames, ENV + 3, 1);
	describe(2, STACK | rw, minimal->frames, STACK_FRAME, 1);
	describe(3, CODE | EXO_MAP_READ | EXO_MAP_EXEC, code_frame.cap, code_frame.first, 1);
	if (space < 0 || env < 0 || exo_space_write((exo_cap_t)space, 0, 4) != 4)
		return false;
	exo_cap_delete((exo_cap_t)space);	/* the environment holds it */
	minimal->env = (exo_cap_t)env;
	return true;
}

static void destroy(struct minimal *minimal)
{
	while (exo_env_destroy(minimal->env) == -EXO_EAGAIN)
		;
	caps_delete(minimal->env);
	caps_delete(minimal->frames);
}

static void create_destroy(void)
{
	uint32_t before = core_info->frames_free;
	struct bench_run run;

	program(EXO_CALL_env_exit, EXO_CAUSE_EXIT, STATUS, 0);
	bench_need(make(&one) && exo_env_start(one.env) == 0, "environment");
	core_yield(one.env);
	destroy(&one);
	bench_begin(&run);
	for (unsigned i = 0; i < REPEAT; i++) {
		make(&one);
		exo_env_start(one.env);
		core_yield(one.env);
		destroy(&one);
	}
	bench_end(&run, "env_create_destroy", REPEAT, 1);
	core_print("bench env_frames %u frames\n", FRAMES);
	bench_need(core_info->frames_free == before, "frames as before: some were lost");
}

void bench_spin(unsigned count)
{
	static const uint8_t loop[] = { 0xeb, 0xfe };	/* a jump to itself */

	make_code();
	memcpy(code->text, loop, sizeof(loop));
	for (unsigned i = 0; i < count && i < MANY; i++)
		bench_need(make(&many[i]) && exo_env_start(many[i].env) == 0, "environment");
	core_print("spin ready\n");
	for (;;)
		core_sleep(EXO_NEVER, core_disp->events);
}

/* --- calls while others live -------------------------------------------------------------------------- */

/* The least that `body` takes of REPEAT times: without what comes between. `undo` is not counted. */
#define MEASURE(least, body, undo) do { \
	least = UINT64_MAX; \
	for (unsigned i = 0; i < REPEAT; i++) { \
		uint64_t began = bench_count(); \
		body; \
		uint64_t took = bench_count() - began; \
		least = took < least ? took : least; \
		undo; \
	} \
} while (0)

static void report(const char *what, const char *among, uint64_t instructions)
{
	char name[48];

	core_format(name, sizeof(name), "%s_among_%s", what, among);
	bench_report(name, instructions);
}

static void calls(const char *among, const struct minimal *partner)
{
	static exo_vaddr_t va;			/* the same each time, and so are the tables */
	static struct frame frame;
	uint32_t slot = caps_slot();
	int64_t cap = 0, error = 0;
	uint64_t nothing, least;

	if (!va) {
		va = vm_addresses(EXO_PAGE_SIZE);
		bench_need(va && frame_alloc_run(1, &frame), "frame");
	}
	space_map(va, EXO_MAP_READ, frame.cap, frame.first, 1);
	MEASURE(nothing, , );
	MEASURE(least, exo_null(), );
	report("null_call", among, least - nothing);
	MEASURE(least, cap = exo_cap_derive(frame.cap, 0, slot, EXO_RIGHT_READ, frame.first, 1),
		error |= cap < 0 ? cap : caps_delete((exo_cap_t)cap));
	report("cap_derive", among, least - nothing);
	MEASURE(least, describe(0, va | EXO_MAP_READ, frame.cap, frame.first, 1);
		error |= exo_space_write(space_own(), 0, 1) - 1, );
	report("map_1", among, least - nothing);
	MEASURE(least, cap = exo_frame_take(slot, EXO_PFN_ANY, 1),
		error |= cap < 0 ? cap : caps_delete((exo_cap_t)cap));
	report("frame_take", among, least - nothing);
	MEASURE(least, core_yield(partner->env), );
	report("yield", among, least - nothing);
	bench_need(!error, "success of each call");
	space_map(va, 0, EXO_CAP_NONE, 0, 1);
}

/* All of them sleep but the one that is yielded to, which yields to whoever is next: to us. */
static void among(void)
{
	unsigned count = 0;

	program(EXO_CALL_yield, 0, 0, 0);
	bench_need(make(&one) && exo_env_start(one.env) == 0, "environment");
	core_yield(one.env);
	calls("1", &one);
	program(EXO_CALL_sleep, EXO_NEVER, 0, 0);
	while (count < MANY - 1 && make(&many[count])) {
		bench_need(exo_env_start(many[count].env) == 0, "start");
		core_yield(many[count++].env);
	}
	bench_need(count == MANY - 1, "room for 1,000 environments");
	program(EXO_CALL_yield, 0, 0, 0);
	calls("1000", &one);
	while (count)
		destroy(&many[--count]);
	destroy(&one);
}

void bench_spawn(void)
{
	make_code();
	create_destroy();
	among();
}
