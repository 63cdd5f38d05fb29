/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the experiments of `exo lab` share: the policies that the command line chose, and how figures get out
 * of the machine.
 *
 * exo lab compiles an experiment with LAB_POLICIES, a line such as LAB(policy_lru, "lru") LAB(lab_1,
 * "mine"): symbols and what they are called in table and plot. A policy file of the reader's defines
 * `lab_policy`, which is compiled under another name, so that several can stand beside each other. The
 * experiment says which type policies have (LAB_TYPE) before it includes this file.
 *
 * Figures leave as lines on the console: the names of the columns once, then rows; all else that is printed
 * is shown as it is.
 */
#ifndef LAB_H
#define LAB_H

#include <stdio.h>

#define LAB(symbol, text) extern const LAB_TYPE symbol;
LAB_POLICIES
#undef LAB

static const struct lab_choice {
	const char *name;
	const LAB_TYPE *policy;
} lab_choice[] = {
#define LAB(symbol, text) { text, &symbol },
	LAB_POLICIES
#undef LAB
};

#define LAB_CHOICES	(sizeof(lab_choice) / sizeof(lab_choice[0]))

/* The names of the columns, parted by commas; then a row with as many values, as often as there is one. */
#define lab_columns(names)	printf("lab columns %s\n", names)
#define lab_row(...)		(printf("lab row "), printf(__VA_ARGS__), printf("\n"))
/* A policy did what it must not; what the experiment did instead belongs into the sentence. */
#define lab_wrong(name, ...)	(printf("lab wrong %s: ", name), printf(__VA_ARGS__), printf("\n"))

#endif
