/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that libos/core/predicate_emit.c writes: the kernel's check takes each with no guard left; interpreted and
 * compiled they say the same as a naive look at the words.
 */
#include <stdlib.h>
#include "libos/core/predicate.h"
#include "test/unit/bpf_isa.h"
#include "test/unit/tap.h"

#define PAGE	4096

bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT];

static uint8_t window[EXO_WINDOWS_OWN][PAGE] __attribute__((aligned(PAGE)));
static uint8_t work[1 << 20] __attribute__((aligned(64)));
static struct both both;

static uint64_t draw(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

static uint64_t word_at(const struct predicate_word *word)
{
	const uint8_t *at = &window[1 + word->frame][word->offset];

	return word->bytes == 8 ? *(const uint64_t *)at : *(const uint32_t *)at;
}

static bool naive(const struct predicate *predicate, uint64_t pending)
{
	const struct predicate_operands *operands = predicate->operands;
	unsigned i;

	if (pending & operands->events)
		return true;
	for (i = 0; i < PREDICATE_WORDS; i++) {
		const struct predicate_word *word = &predicate->word[i];
		uint64_t mask = operands->word[i].mask, value = operands->word[i].value;
		if (!word->bytes)
			continue;
		uint64_t now = word_at(word);
		if (word->test == PREDICATE_DIFFERS && (now & mask) != value)
			return true;
		if (word->test == PREDICATE_REACHES && mask &&
		    (word->bytes == 8 ? (int64_t)(now - value) >= 0 : (int32_t)(uint32_t)(now - value) >= 0))
			return true;
	}
	return false;
}

static void random_words(struct predicate *predicate)
{
	unsigned i;

	memset(predicate->word, 0, sizeof(predicate->word));
	for (i = 0; i < PREDICATE_WORDS; i++) {
		struct predicate_word *word = &predicate->word[i];
		if (rand() % 3 == 0)
			continue;
		word->bytes = rand() % 2 ? 4 : 8;
		word->frame = (uint8_t)(rand() % PREDICATE_FRAMES);
		word->offset = (uint16_t)(rand() % (PAGE / word->bytes) * word->bytes);
		word->test = rand() % 2 ? PREDICATE_DIFFERS : PREDICATE_REACHES;
	}
}

/* Mostly such that few of them wake: most are off, or as the word is. */
static void random_operands(struct predicate *predicate)
{
	unsigned i;

	predicate->operands->events = rand() % 4 ? 0 : ~0ULL;
	for (i = 0; i < PREDICATE_WORDS; i++) {
		uint64_t mask = rand() % 4 ? 0 : rand() % 2 ? ~0ULL : draw(), value = 0;
		const struct predicate_word *word = &predicate->word[i];
		if (mask && word->bytes && word->test == PREDICATE_REACHES)
			value = word_at(word) + 1 - (rand() % 20 == 0);
		else if (mask && word->bytes)
			value = (word_at(word) & mask) ^ (rand() % 20 == 0);
		predicate->operands->word[i].mask = mask;
		predicate->operands->word[i].value = value;
	}
}

/* Emitted and checked; false: not as it should be. */
static bool prepare(const struct predicate *predicate)
{
	static struct exo_insn insn[PREDICATE_INSNS];
	struct exo_code_report report;
	struct bpf_check *check;
	unsigned count = predicate_emit(predicate, insn), i;
	int result = 1;

	if (count > PREDICATE_INSNS)
		return false;
	both_program(&both, insn, count);
	both.program.use = EXO_USE_WAKE;
	both.program.fuel = count;
	both.program.data = NULL;
	both.program.data_bytes = both.program.window_write = 0;
	for (i = 0; i < EXO_WINDOWS_OWN; i++)
		both.program.window_bytes[i] = PAGE;
	check = bpf_check_begin(&both.program, work, sizeof(work));
	while (check && result == 1)
		result = bpf_check_step(check, 10000, &report);
	if (result)
		printf("# rejected: %u at %u\n", report.reject, report.insn);
	return !result && report.guarded == 0;
}

int main(void)
{
	enum { PROGRAMS = 200, RUNS = 50 };
	static struct predicate predicate;
	struct exo_wake context = { .now = 1 };
	unsigned accepted = 0, same = 0, right = 0, woke = 0, i, k;

	predicate.operands = (struct predicate_operands *)window[0];
	srand(3);
	for (i = 0; i < sizeof(window); i++)
		((uint8_t *)window)[i] = (uint8_t)rand();
	for (i = 0; i < EXO_WINDOWS_OWN; i++)
		both.run.window[i] = (struct bpf_window){ window[i], PAGE };
	both.run.window[EXO_WINDOW_CONTEXT] = (struct bpf_window){ (uint8_t *)&context, sizeof(context) };
	both.r1 = (uint64_t)(uintptr_t)&context;
	for (i = 0; i < PROGRAMS; i++) {
		random_words(&predicate);
		if (!prepare(&predicate))
			continue;
		accepted++;
		for (k = 0; k < RUNS; k++) {
			random_operands(&predicate);
			context.pending = rand() % 2 ? draw() : 0;
			same += both_run(&both);
			woke += both.interpreted.r0 != 0;
			right += (both.interpreted.r0 != 0) == naive(&predicate, context.pending) &&
			    both.interpreted.stop == BPF_STOP_EXIT;
		}
	}
	is_int(accepted, PROGRAMS, "accepted, without a guard");
	is_int(same, PROGRAMS * RUNS, "interpreted and compiled alike");
	is_int(right, PROGRAMS * RUNS, "and as the words are");
	ok(woke > PROGRAMS * RUNS / 10 && woke < PROGRAMS * RUNS * 9 / 10, "%u of them wake", woke);
	return done();
}
