/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start of the kernel and of the first environment; environments from creation to destruction; the slow
 * path of exceptions. One function per call or promise: success, every documented error, one abuse.
 */
#include "test/unit/running.h"

/* --- the start -------------------------------------------------------------------------------------- */

static uint8_t byte_at(uint64_t va)
{
	exo_pfn_t pfn;
	uint64_t pte;

	return space_lookup(here.current->root, va, &pfn,
	    &pte) ? ((uint8_t *)pfn_to_virt(pfn))[va % EXO_PAGE_SIZE] : 0xee;
}

static uint64_t bits_at(uint64_t va)
{
	exo_pfn_t pfn;
	uint64_t pte;

	return space_lookup(here.current->root, va, &pfn, &pte) ? pte & (EXO_PTE_WRITE | EXO_PTE_NX) : 1;
}

static void test_start(void)
{
	static const char *const names[] = { "env", "space", "account", "self", "info", "console", "machine",
	    "ports", "interrupts", "module" };
	const uint8_t *module = (const uint8_t *)module_elf();
	const struct exo_start *start;
	unsigned i;
	bool same = true;

	ok(machine_start() == NULL_UPCALL, "the first environment gets an upcall");
	ok(null.entry == EXO_VA_IMAGE + 0x200 && null.message.rdi == EXO_RUN_START,
	    "RUN at the program's entry");
	sound("after the start");
	start = start_record();
	ok(start->magic == EXO_START_MAGIC && start->size == sizeof(*start), "start record");
	is_int((long long)start->module_bytes, MODULE_BYTES, "module_bytes");
	ok(start->image == EXO_VA_IMAGE && start->image_bytes == 5 * EXO_PAGE_SIZE, "image");
	ok(start->heap == start->image + start->image_bytes && start->heap_end <= EXO_USER_MAX, "heap");
	ok(start->seed[0] != start->seed[1], "seed");
	is_int(start->slots, COUNT_OF(names), "number of names");
	for (i = 0; i < COUNT_OF(names); i++)
		ok(!strcmp(start->slot[i].name, names[i]) && exo_cap_slot(start->slot[i].cap) == i + 1,
		    "slot %u is %s", i + 1, names[i]);
	for (i = 0; i < TEXT_BYTES; i++)
		same = same && byte_at(EXO_VA_IMAGE + i) == module[i];
	for (i = 0; i < DATA_FILE; i++)
		same = same && byte_at(DATA_VA + 0x10 + i) == module[0x2010 + i];
	for (; i < DATA_BYTES; i++)
		same = same && byte_at(DATA_VA + 0x10 + i) == 0;
	ok(same, "the image is what the program says");
	ok(bits_at(EXO_VA_IMAGE) == 0 && bits_at(DATA_VA) == (EXO_PTE_WRITE | EXO_PTE_NX),
	    "rights of its pages");
	ok(bits_at(EXO_VA_DISP) == (EXO_PTE_WRITE | EXO_PTE_NX) &&
	    bits_at(EXO_VA_ARG) == bits_at(EXO_VA_DISP) && bits_at(EXO_VA_START) == bits_at(EXO_VA_DISP),
	    "dispatcher, argument, start: writable");
	ok(bits_at(EXO_VA_CAPS) == EXO_PTE_NX && bits_at(EXO_VA_INFO) == EXO_PTE_NX,
	    "table and info: readable");
	ok(null.timer == EXO_NEVER, "one environment needs no timer");
}

static void test_first_frames(void)
{
	const struct exo_cap *self = cap_lookup(here.current, named(EXO_NAME_SELF));
	const struct exo_cap *module = cap_lookup(here.current, named(EXO_NAME_MODULE));
	uint32_t before = info->frames_free, i;
	bool mine = true;

	for (i = 0; i < self->count; i++)
		mine = mine && info_frame[self->first + i].holds == 1 &&
		    info_frame[self->first + i].owner == 1;
	ok(mine, "all frames of the run are held once");
	is_int(here.current->info->frames, self->count + module->count, "frames counted");
	ok(module->first == MODULE_FRAME && module->count == MODULE_BYTES / EXO_PAGE_SIZE,
	    "the module's capability");
	is_int(CALL(frame_give, named(EXO_NAME_MODULE), 5), 5, "the module can be given back");
	is_int(info->frames_free, before + 5, "and is free then");
	is_int(here.current->info->frames, self->count, "and no more counted");
}

/* Each spoils the module and is to be refused. */
static void spoil(struct test_elf *elf, unsigned how)
{
	struct test_segment *text = &elf->segment[0], *data = &elf->segment[1];

	switch (how) {
	case 0: elf->ident[1] = 'F'; break;
	case 1: elf->ident[4] = 1; break;
	case 2: elf->type = 3; break;
	case 3: elf->machine = 40; break;
	case 4: elf->phentsize = 32; break;
	case 5: elf->phoff = MODULE_BYTES; break;
	case 6: elf->phoff = UINT64_MAX - 7; break;
	case 7: elf->phnum = 0xffff; break;
	case 8: text->flags = 7; break;
	case 9: text->file_bytes = text->memory_bytes + 1; break;
	case 10: data->offset = MODULE_BYTES - DATA_FILE + 1; break;
	case 11: data->offset = UINT64_MAX - 1; break;
	case 12: text->va = EXO_VA_IMAGE - EXO_PAGE_SIZE; break;
	case 13: text->va = 0xffffffff80000000; break;
	case 14: data->memory_bytes = UINT64_MAX; break;
	case 15: data->memory_bytes = 1ULL << 40; break;
	case 16: data->va = EXO_VA_IMAGE + TEXT_BYTES; break;
	case 17: data->va = EXO_VA_IMAGE; break;
	case 18: elf->segment[2].type = 3; break;
	case 19: elf->segment[2].type = 2; break;
	case 20: elf->entry = DATA_VA + 0x20; break;
	case 21: elf->entry = 0; break;
	case 22: text->flags = 4; break;
	case 23: elf->phnum = 0; break;
	case 24: boot.module.end = boot.module.start; break;
	case 25: boot.module.end = boot.module.start + 63; break;
	case 26: boot.module.end = boot.module.start + 64; break;
	case 27: elf->phoff += 4; break;
	}
}
#define SPOIL_WAYS	28

static void test_bad_images(void)
{
	unsigned how, i, stopped = 0, started = 0;
	uint8_t *bytes;

	for (how = 0; how < SPOIL_WAYS; how++) {
		machine_prepare();
		spoil(module_elf(), how);
		ok(machine_start() == NULL_STOP && strstr(null.console, "cannot start"),
		    "bad image %u is refused: %s", how, strchr(null.console, '\n') ? strtok(null.console,
		    "\n") : "nothing said");
	}
	srand(1);
	for (i = 0; i < 3000; i++) {
		machine_prepare();
		bytes = (uint8_t *)module_elf();
		bytes[(unsigned)rand() % sizeof(struct test_elf)] = (uint8_t)rand();
		bytes[(unsigned)rand() % sizeof(struct test_elf)] ^= (uint8_t)(1 << rand() % 8);
		if (machine_start() == NULL_STOP)
			stopped++;
		else if (null.left == NULL_UPCALL && !broken())
			started++;
	}
	ok(stopped + started == 3000 && stopped > 500 && started > 100,
	    "spoilt images stop or start (%u, %u)", stopped, started);
}

static enum null_way start_with(const char *cmdline)
{
	machine_prepare();
	strcpy(boot.cmdline, cmdline);
	return machine_start();
}

static void test_options(void)
{
	ok(start_with("slice_us=2000") == NULL_UPCALL && info->slice_ns == 2000000, "slice_us");
	ok(start_with("  slice_us=1  slice_us=4000 ") == NULL_UPCALL && info->slice_ns == 4000000,
	    "the last one counts");
	ok(start_with("slice_us=1") == NULL_UPCALL && info->slice_ns == 50000, "slice_us has a least value");
	ok(start_with("slices_us=2000") == NULL_STOP && strstr(null.console,
	    "slices_us; the nearest known one is slice_us"), "an unknown one is refused");
	ok(start_with("slice_us=fast") == NULL_STOP && start_with("slice_us") == NULL_STOP &&
	    start_with("slice_us=") == NULL_STOP, "no number");
	ok(start_with("slice_us=99999999999999999999999") == NULL_STOP, "too large a number");
}

/* --- environments ----------------------------------------------------------------------------------- */

static void test_create(void)
{
	exo_cap_t frames = (exo_cap_t)CALL(frame_take, free_slot(), EXO_PFN_ANY, 6), space, env, readable;
	struct exo_env_params *params = (struct exo_env_params *)(here.current->arg + 64);
	unsigned slot = free_slot();
	struct env *child;

	space = (exo_cap_t)CALL(space_create, slot, frames, 5);
	slot = free_slot();
	readable = (exo_cap_t)CALL(cap_derive, frames, 0, slot, EXO_RIGHT_READ, 0, 4);
	slot = free_slot();
	*params = (struct exo_env_params){ .run_entry = 0x1234, .label = "0123456789abcdef" };
	is_int(CALL(env_create, 1, space, 0, frames, 0, 64), ERR(SLOT), "env_create: SLOT in use");
	is_int(CALL(env_create, 0, space, 0, frames, 0, 64), ERR(SLOT), "SLOT 0");
	is_int(CALL(env_create, slot, 99, 0, frames, 0, 64), ERR(CAP), "CAP");
	is_int(CALL(env_create, slot, frames, 0, frames, 0, 64), ERR(TYPE), "TYPE");
	is_int(CALL(env_create, slot, space, space, frames, 0, 64), ERR(TYPE), "TYPE of the account");
	is_int(CALL(env_create, slot, space, 0, readable, 0, 64), ERR(RIGHTS), "RIGHTS");
	is_int(CALL(env_create, slot, space, 0, frames, 3, 64), ERR(RANGE), "RANGE of frames");
	is_int(CALL(env_create, slot, space, 0, frames, UINT64_MAX, 64), ERR(RANGE),
	    "RANGE of frames, overflow");
	is_int(CALL(env_create, slot, space, 0, frames, 0, 4090), ERR(RANGE), "RANGE of the parameters");
	is_int(CALL(env_create, slot, space, 0, frames, 0, 60), ERR(RANGE), "alignment of the parameters");
	is_int(CALL(env_create, slot, space, 0, frames, 2, 64), ERR(BUSY), "BUSY: a page table");
	params->cpu = 1;
	is_int(CALL(env_create, slot, space, 0, frames, 0, 64), ERR(INVAL), "INVAL: no such CPU");
	params->cpu = 0;
	env = (exo_cap_t)CALL(env_create, slot, space, 0, frames, 0, 64);
	ok((int64_t)env > 0 && exo_cap_slot(env) == slot, "success");
	child = env_behind(cap_lookup(here.current, env));
	ok(child && child->disp->run_entry == 0x1234 && child->disp->self == child->id &&
	    child->disp->off == EXO_OFF_YES, "its dispatcher page");
	ok(!strcmp(child->info->label, "0123456789abcde") && child->info->state == EXO_ENV_MADE, "its row");
	is_int(CALL(env_create, free_slot(), space, 0, frames, 0, 64), ERR(BUSY), "BUSY: an environment");
	is_int(CALL(yield, env), ERR(STATE), "it does not run before it is started");
	is_int(CALL(env_start, env), 0, "env_start");
	is_int(CALL(env_start, env), ERR(STATE), "STATE: started before");
	is_int(CALL(env_start, named(EXO_NAME_SPACE)), ERR(TYPE), "TYPE");
	ok(null_call(EXO_CALL_yield, env, 0, 0, 0, 0, 0) == NULL_UPCALL && here.current == child &&
	    null.entry == 0x1234 && null.message.rdi == EXO_RUN_START && null.sp == 0,
	    "its first upcall is RUN, START");
	sound("after env_start");
}

static void test_read(void)
{
	exo_cap_t self = named(EXO_NAME_ENV);
	char *arg = (char *)here.current->arg;
	struct child child = child_make();
	const char *module = (const char *)module_elf();

	is_int(CALL(env_read, self, EXO_VA_IMAGE + 0xff0, 100, 0x40), 0x40, "env_read over a page's end");
	ok(!memcmp(arg + 100, module + 0xff0, 0x40), "the bytes");
	is_int(CALL(env_read, self, EXO_VA_IMAGE, 0, 4096), 4096, "a whole page");
	is_int(CALL(env_read, self, EXO_VA_IMAGE, 4096, 0), 0, "no bytes at the end");
	is_int(CALL(env_read, self, EXO_VA_IMAGE, 1, 4096), ERR(RANGE), "RANGE of the argument frame");
	is_int(CALL(env_read, self, EXO_VA_IMAGE + 5 * EXO_PAGE_SIZE - 1, 0, 2), ERR(RANGE),
	    "RANGE: its second page");
	is_int(CALL(env_read, self, EXO_VA_IMAGE - 1, 0, 2), ERR(RANGE), "RANGE: its first page");
	is_int(CALL(env_read, self, 0xffff800000000000, 0, 8), ERR(RANGE), "RANGE: not a user address");
	is_int(CALL(env_read, self, EXO_USER_MAX - 1, 0, 8), ERR(RANGE), "RANGE: out of user space");
	is_int(CALL(env_read, self, UINT64_MAX, 0, 8), ERR(RANGE), "RANGE: overflow");
	is_int(CALL(env_read, child.cap, EXO_VA_DISP, 0, 8), ERR(RANGE), "RANGE: an empty space");
	is_int(CALL(env_read, child.space, EXO_VA_DISP, 0, 8), ERR(TYPE), "TYPE");
}

static void test_small_calls(void)
{
	exo_cap_t console = named(EXO_NAME_CONSOLE);
	struct env *self = here.current;

	is_int(CALL(null, 0), 0, "null");
	is_int(call(EXO_CALL_COUNT, 0, 0, 0, 0, 0, 0), ERR(NOCALL), "NOCALL");
	memset(self->arg, 'x', EXO_PAGE_SIZE);
	memset(null.console, 0, sizeof(null.console));
	null.console_bytes = 0;
	is_int(CALL(console_write, console, 0, 5), 5, "console_write");
	is_int((long long)null.console_bytes, 5, "five bytes");
	is_int(CALL(console_write, console, 0, 4096), EXO_CONSOLE_MAX, "at most EXO_CONSOLE_MAX");
	is_int(CALL(console_write, console, 4090, 7), ERR(RANGE), "RANGE");
	is_int(CALL(console_write, console, UINT64_MAX, 2), ERR(RANGE), "RANGE, overflow");
	is_int(CALL(console_write, named(EXO_NAME_ENV), 0, 1), ERR(TYPE), "TYPE");
	is_int(CALL(env_fsbase, 0x123456), 0, "env_fsbase");
	is_int((long long)self->arch.fs_base, 0x123456, "the base");
	is_int(CALL(env_fsbase, EXO_USER_MAX), ERR(INVAL), "INVAL: not a user address");
	is_int(CALL(machine_halt, console, 3), ERR(TYPE), "machine_halt: TYPE");
	ok(null_call(EXO_CALL_machine_halt, named(EXO_NAME_MACHINE), 3, 0, 0, 0, 0) == NULL_HALT &&
	    null.result == 3, "machine_halt");
}

/* --- the end ---------------------------------------------------------------------------------------- */

static void test_exit(void)
{
	struct env *first = here.current;
	struct child child = child_start();
	uint64_t events = first->disp->events;

	is_int(CALL(env_exit, 32, 0), ERR(INVAL), "env_exit: INVAL");
	(void)CALL(yield, child.cap);
	ok(here.current == child.env, "the child runs");
	ok(null_call(EXO_CALL_env_exit, EXO_CAUSE_EXIT, 42, 0, 0, 0, 0) == NULL_UPCALL &&
	    here.current == first, "it exits, and its creator runs");
	ok(child.env->info->state == EXO_ENV_ENDED && child.env->info->cause == EXO_CAUSE_EXIT &&
	    child.env->info->status == 42, "cause and status");
	ok((first->disp->pending & EXO_EVENT_CHILD) && first->disp->events == events + 1 &&
	    (null.message.rdi & EXO_RUN_EVENT), "the creator is told");
	is_int(CALL(yield, child.cap), ERR(DEAD), "it cannot be yielded to");
	is_int(CALL(env_start, child.cap), ERR(STATE), "nor started again");
	is_int(CALL(env_read, child.cap, EXO_VA_DISP, 0, 8), ERR(RANGE), "but looked at");
	sound("after env_exit");
}

static int64_t destroy(exo_cap_t cap)
{
	int64_t result;
	unsigned i = 0;

	do
		result = CALL(env_destroy, cap);
	while (result == ERR(AGAIN) && ++i < 1000);
	return result;
}

static void test_destroy(void)
{
	uint32_t before = info->frames_free;
	struct child child = child_start(), other;
	exo_env_id_t id = child.env->id;
	exo_cap_t entry, given;
	struct env *env = child.env;

	is_int(CALL(env_destroy, named(EXO_NAME_ENV)), ERR(STATE), "env_destroy: STATE, oneself");
	entry = (exo_cap_t)CALL(entry_make, free_slot(), child.cap, 5);
	(void)CALL(yield, child.cap);
	given = (exo_cap_t)CALL(frame_take, 1, EXO_PFN_ANY, 20);
	ok((int64_t)given > 0 && CALL(cap_table, given, 19) == 64,
	    "the child takes frames, one for its table");
	(void)null_call(EXO_CALL_frame_take, 70, EXO_PFN_ANY, 24, 0, 0, 0);
	(void)null_call(EXO_CALL_yield, 0, 0, 0, 0, 0, 0);
	is_int(destroy(child.cap), 0, "destroyed");
	ok(!env_by_id(id) && info_env[(uint32_t)id].state == EXO_ENV_NONE, "it is no more");
	is_int(CALL(env_destroy, child.cap), ERR(DEAD), "DEAD");
	is_int(CALL(call, entry, EXO_NEVER), ERR(DEAD), "its entry: DEAD");
	is_int(CALL(entry_make, free_slot(), child.cap, 5), ERR(DEAD), "entry_make: DEAD");
	is_int(info->frames_free, before - 5, "what it held is free; its own frames are its creator's");
	is_int(CALL(cap_delete, child.space), 0, "its space");
	is_int(CALL(frame_give, child.frames, 5), 5, "which can be given back");
	is_int(info->frames_free, before, "no frame is lost");
	other = child_start();
	ok(other.env == env && other.env->id != id, "another environment in the same frame");
	is_int(CALL(env_destroy, child.cap), ERR(DEAD), "is not reached by the old capability");
	is_int(CALL(call, entry, EXO_NEVER), ERR(DEAD), "nor by the old entry");
	sound("after env_destroy");
}

/* Who holds its account ends one that nobody names. */
static void test_reclaim(void)
{
	uint32_t before = info->frames_free;
	struct child child = child_start();
	exo_env_id_t id = child.env->id;
	exo_cap_t root = named(EXO_NAME_ACCOUNT), frame, below, weak;
	int64_t result;

	weak = (exo_cap_t)CALL(cap_derive, root, 0, free_slot(), EXO_RIGHT_READ | EXO_RIGHT_CONTROL, 0, 0);
	frame = (exo_cap_t)CALL(frame_take, free_slot(), EXO_PFN_ANY, 1);
	below = (exo_cap_t)CALL(account_make, free_slot(), root, frame, 0, 100);
	is_int(CALL(env_reclaim, root + (1ULL << 32), id), ERR(CAP), "env_reclaim: CAP");
	is_int(CALL(env_reclaim, child.cap, id), ERR(TYPE), "TYPE");
	is_int(CALL(env_reclaim, weak, id), ERR(RIGHTS), "RIGHTS");
	is_int(CALL(env_reclaim, root, 0), ERR(DEAD), "DEAD: none");
	is_int(CALL(env_reclaim, root, ~0ULL), ERR(DEAD), "DEAD: no number");
	is_int(CALL(env_reclaim, root, id + (1ULL << 32)), ERR(DEAD), "DEAD: another's number");
	is_int(CALL(env_reclaim, below, id), ERR(RANGE), "RANGE: charged to another");
	is_int(CALL(env_reclaim, root, here.current->id), ERR(BUSY), "BUSY: oneself");
	ok(env_by_id(id) == child.env && env_state(child.env) != EXO_ENV_ENDED, "it lives");
	is_int(CALL(cap_delete, child.cap), 0, "nobody names it any more");
	while ((result = CALL(env_reclaim, root, id)) == ERR(AGAIN))
		;
	is_int(result, 0, "env_reclaim");
	ok(!env_by_id(id) && info_env[(uint32_t)id].state == EXO_ENV_NONE, "it is no more");
	is_int(CALL(env_reclaim, root, id), ERR(DEAD), "DEAD: it was");
	is_int(CALL(cap_delete, below) | CALL(cap_delete, weak) | CALL(cap_delete, child.space), 0, "the rest");
	is_int(CALL(frame_give, frame, 1) + CALL(frame_give, child.frames, 5), 6, "the frames");
	is_int(info->frames_free, before, "no frame is lost");
	sound("after env_reclaim");
}

/* The creator is gone first: its frames come back when the child's time comes. */
static void test_orphan(void)
{
	struct env *first = here.current;
	uint32_t before = info->frames_free;
	struct child middle = child_start(), leaf;
	exo_cap_t handle;

	handle = (exo_cap_t)CALL(cap_derive, named(EXO_NAME_ENV), middle.cap, 9,
	    EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_WAKE, 0, 0);
	(void)CALL(yield, middle.cap);
	leaf = child_start();
	is_int(exo_cap_slot((exo_cap_t)CALL(cap_derive, leaf.cap, handle, 40,
	    EXO_RIGHT_READ | EXO_RIGHT_CONTROL, 0, 0)), 40, "the grandparent is given control");
	(void)null_call(EXO_CALL_yield, handle, 0, 0, 0, 0, 0);
	ok(here.current == first, "the first runs again");
	is_int(destroy(middle.cap), 0, "the middle one is destroyed, with the leaf's frames in its table");
	ok(env_state(leaf.env) == EXO_ENV_READY && env_by_id(leaf.env->id) == leaf.env, "the leaf lives on");
	handle = exo_cap_make(40, cap_at(cap_ref(pfn_to_virt(first->cap_frame[0])) + 40)->generation);
	is_int(destroy(handle), 0, "the leaf is destroyed");
	is_int(CALL(cap_delete, middle.space), 0, "the middle's space");
	is_int(CALL(frame_give, middle.frames, 5), 5, "and frames");
	is_int(info->frames_free, before, "no frame is lost");
	sound("after an orphan's end");
}

static void test_many(void)
{
	uint32_t before = info->frames_free, made = 0;
	struct child child;
	unsigned i;

	for (i = 0; i < 300; i++) {
		child = child_start();
		made += child.env && destroy(child.cap) == 0 && CALL(cap_delete, child.space) == 0 &&
		    CALL(frame_give, child.frames, 5) == 5 && CALL(cap_delete, child.cap) == 0;
	}
	is_int(made, 300, "environments are made and destroyed over and over");
	is_int(info->frames_free, before, "no frame is lost");
	sound("after many");
}

/* --- exceptions and interruptions ------------------------------------------------------------------- */

static void test_exceptions(void)
{
	struct env *first = here.current;
	struct child child = child_start();
	struct exo_disp *disp = child.env->disp;

	(void)CALL(yield, child.cap);
	ok(exception_at(0x401000, 14, 0xdead) == NULL_UPCALL && null.entry == CHILD_OFF &&
	    null.sp == 0x8000 && null.message.rdi == 14,
	    "an exception with upcalls off goes to the OFF entry");
	ok(disp->off == EXO_OFF_FAULT && disp->fault.vector == 14 && disp->fault.address == 0xdead &&
	    disp->fault.error == 6 && disp->fault.rip == 0x401000, "area FAULT");
	ok(exception_at(0x402000, 6, 0) == NULL_UPCALL && here.current == first, "one in its handler ends it");
	ok(child.env->info->state == EXO_ENV_ENDED && child.env->info->cause == 6 &&
	    child.env->info->rip == 0x402000, "the cause is the vector");
	ok(disp->fault.rip == 0x402000, "the registers can be read");
	child = child_start();
	child.env->disp->off_entry = EXO_USER_MAX;
	(void)CALL(yield, child.cap);
	(void)exception_at(0x403000, 13, 0x77);
	ok(child.env->info->cause == 13 && child.env->info->status == 0x77,
	    "an OFF entry that is no address ends it");
	child = child_start();
	(void)CALL(yield, child.cap);
	child.env->disp->off = EXO_OFF_NO;
	(void)exception_at(0x404000, 3, 0);
	ok(env_state(child.env) == EXO_ENV_ENDED,
	    "with upcalls on the fast path would have delivered: its entry is bad");
	child = child_start();
	(void)CALL(yield, child.cap);
	child.env->disp->off = EXO_OFF_NO;
	child.env->disp->critical = 0x405000;
	child.env->disp->critical_end = 0x405010;
	ok(exception_at(0x405008, 14, 8) == NULL_UPCALL && null.entry == CHILD_OFF,
	    "the critical range counts as off");
	sound("after exceptions");
}

static void test_interruptions(void)
{
	struct env *first = here.current;
	struct child child = child_start();
	struct exo_disp *disp = child.env->disp;

	(void)CALL(yield, child.cap);
	disp->off = EXO_OFF_NO;
	null.now = null.timer;
	ok(interrupt_at(0x401000) == NULL_UPCALL && here.current == first,
	    "the slice ends: the other one runs");
	ok(disp->saved == EXO_SAVED_ON && disp->on.rip == 0x401000 && disp->on.rax == 0x77 &&
	    disp->on.vector == 256, "with upcalls on its state is in area ON");
	(void)CALL(yield, child.cap);
	ok(here.current == child.env && null.left == NULL_UPCALL && null.entry == CHILD_ENTRY &&
	    disp->off == EXO_OFF_YES && (null.message.rdi & EXO_RUN_SLICE), "it comes back by RUN");
	null.now = null.timer;
	ok(interrupt_at(0x402000) == NULL_UPCALL && here.current == first && disp->offa.rip == 0x402000,
	    "with upcalls off its state is in area OFF");
	ok(null_call(EXO_CALL_yield, child.cap, 0, 0, 0, 0, 0) == NULL_REGS && null.regs.rip == 0x402000 &&
	    here.current == child.env, "and is resumed directly");
	disp->off = EXO_OFF_NO;
	disp->critical = 0x403000;
	disp->critical_end = 0x403010;
	null.now = null.timer;
	ok(interrupt_at(0x40300f) == NULL_UPCALL && disp->offa.rip == 0x40300f,
	    "the critical range counts as off");
	ok(null_call(EXO_CALL_yield, child.cap, 0, 0, 0, 0, 0) == NULL_REGS, "and is resumed directly");
	disp->saved = 0;
	null.now = null.timer;
	ok(interrupt_at(0x403010) == NULL_UPCALL && disp->saved == EXO_SAVED_ON, "its end is not in it");
	sound("after interruptions");
}

static void fresh(void (*test)(void))
{
	machine_prepare();
	if (machine_start() != NULL_UPCALL)
		abort();
	test();
}

int main(void)
{
	machine_prepare();
	test_start();
	fresh(test_first_frames);
	test_bad_images();
	test_options();
	fresh(test_create);
	fresh(test_read);
	fresh(test_small_calls);
	fresh(test_exit);
	fresh(test_destroy);
	fresh(test_reclaim);
	fresh(test_orphan);
	fresh(test_many);
	fresh(test_exceptions);
	fresh(test_interruptions);
	return done();
}
