/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper's half of fork: everything of the child but its memory.
 *
 * FORK_BEGIN makes record, environment, space, fixed pages and what is constant of the image, and passes the
 * parent, in the window that it has opened for the transfer, the child's ENV and SPACE and frames for page
 * tables and for the records of split capabilities. With these the parent gives the child siblings of what it
 * has itself (libos/posix/fork.c). FORK_END starts the child. All of it must come while the transfer waits,
 * so nothing here waits.
 */
#include <errno.h>
#include <stdlib.h>
#include "libos/keep/private.h"

#pragma weak keep_object_forked

#define WINDOW_FRAMES	2	/* from this slot of the window on: frames */

/* Frames for the parent to use: whole kits. How many capabilities, or -errno. */
static int64_t pass_frames(struct keep_body *body, uint32_t wanted)
{
	const uint64_t rights = EXO_RIGHT_READ | EXO_RIGHT_WRITE;
	int64_t passed = 0, error;
	uint32_t first;

	for (uint32_t frames = 0; frames < wanted; frames += KIT_FRAMES - first, passed++) {
		struct keep_kit *kit = body_kit(body);

		if (!kit)
			return -ENOMEM;
		first = kit->used;
		error = exo_cap_derive(kit->bag.run[0].cap, EXO_PEER, (uint64_t)(WINDOW_FRAMES + passed),
				       rights, first,
				       KIT_FRAMES - first);
		if (error < 0)
			return error == -EXO_ESLOT ? -EINVAL : body_error(error);
	}
	return passed;
}

static int64_t pass(struct keep_body *body, uint32_t wanted)
{
	int64_t error;

	error = exo_cap_derive(body->env, EXO_PEER, 0, EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL, 0, 0);
	if (error >= 0)
		error = exo_cap_derive(body->space, EXO_PEER, 1, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0);
	if (error < 0)
		return error == -EXO_ESLOT ? -EINVAL : body_error(error);
	return pass_frames(body, wanted);
}

static int64_t begin(struct keep_request *request)
{
	struct keep_process *parent = request->process, *child;
	uint64_t wanted = request->word[0];
	struct keep_body *body;
	int64_t result, result_object;

	if (wanted > WIRE_FORK_FRAMES || parent->making)
		return -EINVAL;
	body = malloc(sizeof(*body));
	if (!body)
		return -ENOMEM;
	child = keep_process_make(parent);
	if (!child) {
		free(body);
		return -EAGAIN;
	}
	result = body_make(body, child, request->word[1], &parent->body->record, parent->body->image);
	if (result) {
		free(body);
		keep_process_undo(child);
		return result;
	}
	child->body = body;
	body->image = parent->body->image;
	if (body->image)
		body->image->refs++;
	body_record(body, child);
	result = pass(body, (uint32_t)wanted);
	if (result < 0) {
		keep_process_undo(child);
		return result;
	}
	if (keep_object_forked && (result_object = keep_object_forked(child, parent)) < 0) {
		keep_process_undo(child);
		return result_object;
	}
	parent->making = child;
	request->more[0] = (uint64_t)result;
	return child->pid;
}

static int64_t end(struct keep_request *request)
{
	struct keep_process *parent = request->process, *child = parent->making;

	if (!child)
		return -EINVAL;
	parent->making = NULL;
	if (request->word[0]) {
		keep_process_undo(child);
		return 0;
	}
	keep_process_run(child, child->body);
	if (exo_env_start(child->env) < 0) {
		keep_process_undo(child);
		return -EAGAIN;
	}
	return child->pid;
}

void keep_fork_start(void)
{
	keep_serve(REQUEST_FORK_BEGIN, begin);
	keep_serve(REQUEST_FORK_END, end);
}
