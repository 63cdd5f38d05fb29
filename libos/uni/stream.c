/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flushing one stream (libos/uni/locks.h): here what picolibc does.
 */
#include <stdio.h>
#include "libos/uni/locks.h"

int stream_flush(FILE *stream)
{
	return stream->flush ? stream->flush(stream) : 0;
}
