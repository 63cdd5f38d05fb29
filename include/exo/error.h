/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's errors: number, name, meaning. A call returns a non-negative result or the negative of one of these.
 * An error is returned only when nothing has changed. Text (exo_error_text in libos/core) and manual come from here.
 */
#ifndef EXO_ERROR_H
#define EXO_ERROR_H

#define EXO_ERRORS(X) \
	X(1, NOCALL, "there is no call of this number") \
	X(2, INVAL, "an argument is outside its legal range") \
	X(3, CAP, "no such capability: never there, deleted or stale") \
	X(4, TYPE, "the capability names another type of object") \
	X(5, RIGHTS, "the capability lacks a right that this needs") \
	X(6, SLOT, "the slot is in use, or the table has no such slot") \
	X(7, RANGE, "outside what the capability covers") \
	X(8, BUSY, "in use: owned, mapped, pinned or inside a transfer") \
	X(9, QUOTA, "the account's limit would be passed") \
	X(10, NOTABLE, "no page table for this address; link one first") \
	X(11, AGAIN, "work is left: make the same call again") \
	X(12, DEAD, "the other environment has ended") \
	X(13, TIME, "the deadline has passed") \
	X(14, OVERLAP, "the claim overlaps one of another owner") \
	X(15, FULL, "a fixed table is full") \
	X(16, STATE, "the object is not in the state that this needs") \
	X(17, DEPTH, "the chain of transfers, accounts or derivations is too deep") \
	X(18, CPU, "the other environment runs on another CPU, or there is no such CPU") \
	X(19, SEALED, "the space is sealed: its executable mappings are final") \
	X(20, REJECTED, "the program is not safe to run: the report says where and why") \
	X(21, DEVICE, "the device reports a failure")

enum exo_error {
#define EXO_ERROR_ENUM(number, name, text) EXO_E##name = number,
	EXO_ERRORS(EXO_ERROR_ENUM)
#undef EXO_ERROR_ENUM
};

#endif
