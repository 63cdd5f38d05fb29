/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wakeup predicates: sleeping until a word somewhere in shared memory changes, whoever changes it.
 *
 * A predicate is a set of words, in up to PREDICATE_FRAMES frames that it watches. It is made into a program of
 * EXO_USE_WAKE when it is first slept on after its words have changed; what each word is compared with lies in a page of
 * the predicate's own that the program reads, so arming a word again is two stores. Who changes a word: store, fence
 * (the call is one), exo_kick of the word's frame, which needs WRITE for it and no capability for the sleeper.
 *
 * To lose nothing: arm, look, sleep. The kernel runs the program once more before it lets the caller sleep. An event
 * (disp.h) wakes if it is one of those last given to predicate_events (at first: all).
 *
 *	struct predicate predicate = { 0 };
 *	int word = predicate_add(&predicate, frames, 0, 64, 4, PREDICATE_DIFFERS);
 *
 *	predicate_arm(&predicate, word, ~0ULL, seen);
 *	predicate_sleep(&predicate, deadline, core_disp->events);
 */
#ifndef LIBOS_CORE_PREDICATE_H
#define LIBOS_CORE_PREDICATE_H

#include <stdbool.h>
#include <stdint.h>
#include "libos/core/code.h"

#define PREDICATE_WORDS		24
#define PREDICATE_FRAMES	(EXO_WINDOWS_OWN - 1)

enum predicate_test {
	PREDICATE_DIFFERS,	/* (word & mask) != value */
	PREDICATE_REACHES,	/* mask != 0 and word - value >= 0, as a signed number of the word's width: indices that wrap */
};

/* The page that the program reads. */
struct predicate_operands {
	uint64_t events, spare;
	struct {
		uint64_t mask, value;
	} word[PREDICATE_WORDS];
};

struct predicate_word {
	uint8_t bytes;		/* 4 or 8; 0: no word */
	uint8_t frame;
	uint8_t test;
	uint16_t offset;
};

struct predicate {
	struct code_program program;	/* .cap 0: it is to be made */
	struct predicate_operands *operands;
	exo_cap_t own;		/* frame of the operands ... */
	uint32_t own_first;
	struct predicate_word word[PREDICATE_WORDS];
	struct {
		exo_cap_t cap;	/* 0: none */
		uint32_t index;
		uint32_t words;
	} frame[PREDICATE_FRAMES];
};

/*
 * Watch a word at byte `offset`, aligned, of frame `index` of a capability with READ. Returns its number; it is not
 * armed yet. -ERANGE: it is none; -EFULL: there are PREDICATE_WORDS, or PREDICATE_FRAMES others, or no memory.
 */
int predicate_add(struct predicate *predicate, exo_cap_t frames, uint32_t index, uint32_t offset, unsigned bytes,
		  enum predicate_test test);
void predicate_remove(struct predicate *predicate, int word);
/* The program that these words make; returns how many instructions. For predicate.c, and to look at. */
unsigned predicate_emit(const struct predicate *predicate, struct exo_insn *out);
#define PREDICATE_INSNS	(16 + 9 * PREDICATE_WORDS)

/* Wake when the word, compared with `value`, is as its test says / whatever it is, sleep on. */
static inline void predicate_arm(struct predicate *predicate, int word, uint64_t mask, uint64_t value)
{
	predicate->operands->word[word].mask = mask;
	predicate->operands->word[word].value = value;
}

static inline void predicate_disarm(struct predicate *predicate, int word)
{
	predicate_arm(predicate, word, 0, 0);
}

/* Which events (EXO_EVENT_*) wake, too. There must be a word already. */
static inline void predicate_events(struct predicate *predicate, uint64_t events)
{
	predicate->operands->events = events;
}

/* Make the program, if it is to be made. 0, or an error of code_load; STATE: it has no word. */
int64_t predicate_make(struct predicate *predicate);
/*
 * Sleep until it holds, a deadline, or an event that it lets through; `events` as for core_sleep. Returns early at will. 0 or
 * an error: the caller may core_sleep instead.
 */
int64_t predicate_sleep(struct predicate *predicate, exo_time_t until, uint64_t events);
/* It is of no use any more. */
void predicate_drop(struct predicate *predicate);

#endif
