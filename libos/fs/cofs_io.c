/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of a cofs that are under way. Pages are held while they are read or written. What has ended is looked at when
 * a page is waited for, or when all requests are in use, never in an interrupt's place: nobody else changes the lists.
 *
 * Reads get to the device when somebody waits for one of them, or by block_poll().
 *
 * A read that fails leaves a page that is not valid; a write that fails leaves one that is dirty again, so that the next
 * writing out finds another block for it (a block of the tree stays dirty until the commit anyway).
 */
#include "libos/fs/cofs_private.h"

static void ended(struct cofs *fs, struct cofs_io *io)
{
	int result = io->request.result;
	bool write = io->request.operation == BLOCK_WRITE;

	if (write && result && !fs->write_error)
		fs->write_error = result;
	for (uint32_t i = 0; i < io->count; i++) {
		struct cofs_page *page = io->page[i];

		page->io = NULL;
		page->buffer.holds--;
		if (!write)
			page->buffer.valid = !result;
		if (page->temporary)
			cofs_pool_drop(fs, page);
		else if (write && result)
			cofs_page_dirty(fs, page);
	}
	io->used = false;
}

static struct cofs_io *unused(struct cofs *fs)
{
	struct cofs_io *io = &fs->io[fs->io_next];

	fs->io_next = (fs->io_next + 1) % COFS_REQUESTS;
	if (io->used) {
		(void)block_wait(fs->device, &io->request);
		ended(fs, io);
	}
	return io;
}

void cofs_io_poll(struct cofs *fs)
{
	block_poll(fs->device);
	for (unsigned i = 0; i < COFS_REQUESTS; i++)
		if (fs->io[i].used && !fs->io[i].request.pending)
			ended(fs, &fs->io[i]);
}

/* As many of the pages as fit into one request. */
static uint32_t begin(struct cofs *fs, struct cofs_page **pages, uint32_t count, uint32_t block, uint8_t operation)
{
	struct cofs_io *io = unused(fs);
	struct block_request *request = &io->request;
	uint32_t i;

	request->operation = operation;
	request->flags = BLOCK_MORE;
	request->parts = 0;
	request->block = block;
	request->ended = NULL;
	request->result = 0;
	for (i = 0; i < count; i++) {
		uint8_t *data = pages[i]->buffer.data;
		unsigned last = request->parts - 1u;

		if (request->parts &&
		    (uint8_t *)request->part[last].memory + (size_t)request->part[last].blocks * BLOCK_BYTES == data) {
			request->part[last].blocks++;
		} else if (request->parts < BLOCK_PARTS_MAX) {
			request->part[request->parts].memory = data;
			request->part[request->parts++].blocks = 1;
		} else {
			break;
		}
		io->page[i] = pages[i];
		pages[i]->io = io;
		pages[i]->buffer.holds++;
	}
	request->count = io->count = i;
	io->used = true;
	block_submit(fs->device, request);
	return i;
}

void cofs_io_read(struct cofs *fs, struct cofs_page **pages, uint32_t count, uint32_t block)
{
	for (uint32_t done, i = 0; i < count; i += done)
		done = begin(fs, pages + i, count - i, block + i, BLOCK_READ);
}

void cofs_io_write(struct cofs *fs, struct cofs_page **pages, uint32_t count, uint32_t block)
{
	for (uint32_t done, i = 0; i < count; i += done)
		done = begin(fs, pages + i, count - i, block + i, BLOCK_WRITE);
	block_poll(fs->device);
}

void cofs_io_wait(struct cofs *fs, struct cofs_page *page)
{
	struct cofs_io *io = page->io;

	if (!io)
		return;
	(void)block_wait(fs->device, &io->request);
	ended(fs, io);
}

int cofs_io_wait_all(struct cofs *fs)
{
	int error;

	for (unsigned i = 0; i < COFS_REQUESTS; i++) {
		if (!fs->io[i].used)
			continue;
		(void)block_wait(fs->device, &fs->io[i].request);
		ended(fs, &fs->io[i]);
	}
	error = fs->write_error;
	fs->write_error = 0;
	return error;
}
