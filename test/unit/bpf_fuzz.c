/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two million random programs, half of them mutations of accepted ones, through verifier, interpreter and compiler: see bpf_both.h
 * for what must hold.
 *
 *	bpf_fuzz [PROGRAMS [SEED]]		or EXO_BPF_PROGRAMS, EXO_BPF_SEED
 */
#include "test/unit/bpf_both.h"
#include "test/unit/tap.h"

#define POOL	512

static struct kept {
	uint32_t insns, use;
	struct exo_insn text[INSNS_MAX + 8];
} pool[POOL];
static uint32_t pooled;

static void one(void)
{
	bool mutant = pooled > 16 && chance(50);

	if (mutant) {
		const struct kept *from = &pool[pick(pooled < POOL ? pooled : POOL)];

		insns = from->insns;
		use = from->use;
		memcpy(text, from->text, sizeof(from->text[0]) * insns);
		both_mutate();
		both.mutants++;
	} else {
		emit_program();
	}
	if (!both_try(text, insns, use, 1 + (mutant ? 0 : pick(3))))
		return;
	both.mutants_accepted += mutant;
	if (!mutant || chance(20)) {
		struct kept *to = &pool[pooled++ % POOL];

		to->insns = insns;
		to->use = use;
		memcpy(to->text, text, sizeof(text[0]) * insns);
	}
}

/* The order of what was emitted, against a slow one. */
static void sorting(void)
{
	static uint64_t emit[EXO_EMITS_MAX][3];
	unsigned bad = 0;

	for (unsigned round = 0; round < 20000; round++) {
		struct bpf_emits emits = { pick(round % 10 ? 12 : EXO_EMITS_MAX + 1), emit };
		uint8_t order[EXO_EMITS_MAX];
		bool good = true, said;

		for (unsigned i = 0; i < emits.count; i++) {
			emit[i][0] = chance(1) ? ~0ull - pick(3) : chance(50) ? 100 * i : pick(100 * EXO_EMITS_MAX);
			emit[i][1] = chance(1) ? 0 : 1 + pick(chance(90) ? 3 : 100);
			good &= emit[i][1] && emit[i][0] + (emit[i][1] - 1) >= emit[i][0];
		}
		for (unsigned i = 0; i < emits.count; i++)
			for (unsigned j = 0; j < i; j++)
				good &= emit[i][0] > emit[j][0] ? emit[i][0] - emit[j][0] >= emit[j][1] :
				    emit[i][0] != emit[j][0] && emit[j][0] - emit[i][0] >= emit[i][1];
		said = bpf_emits_sort(&emits, order);
		bad += said != good;
		for (unsigned i = 1; said && i < emits.count; i++)
			bad += emit[order[i - 1]][0] >= emit[order[i]][0];
	}
	is_int(bad, 0, "what programs emit is sorted, and overlaps are found");
}

static unsigned long long number(int argc, char **argv, int which, const char *name, unsigned long long otherwise)
{
	const char *word = argc > which ? argv[which] : getenv(name);

	return word ? strtoull(word, NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
	const char *is_long = getenv("EXO_TEST_LONG");
	unsigned long long programs = number(argc, argv, 1, "EXO_BPF_PROGRAMS", is_long && *is_long ? 40000000 : 2000000);

	seed = number(argc, argv, 2, "EXO_BPF_SEED", 0x2545f4914f6cdd1d) | 1;
	both_open();
	sorting();
	while (both.programs < programs)
		one();
	ok(true, "interpreter and machine code agree, nothing escapes, no fuel is overdrawn");
	ok(both.accepted > programs / 5 && both.looped > both.accepted / 20, "enough programs are accepted, with loops among them");
	ok(both.stopped[BPF_STOP_FUEL] && both.stopped[BPF_STOP_GUARD] && both.emits, "runs are stopped by fuel and by tests");
	printf("# %llu programs, %llu accepted (%llu %%), %llu of %llu mutants; %llu instructions on average, %llu at most, "
	    "%llu with loops or calls\n", both.programs, both.accepted, 100 * both.accepted / both.programs,
	    both.mutants_accepted, both.mutants, both.insns / both.accepted, both.longest, both.looped);
	printf("# %llu runs, %llu instructions; %llu accesses, %llu tested; stopped: fuel %llu, test %llu; %llu bytes of code an "
	    "instruction\n", both.runs, both.steps, both.accesses, both.guarded, both.stopped[1], both.stopped[2],
	    both.code_bytes / both.insns);
	for (unsigned i = 1; i < 32; i++)
		if (both.rejected[i])
			printf("# reject %u: %llu\n", i, both.rejected[i]);
	return done();
}
