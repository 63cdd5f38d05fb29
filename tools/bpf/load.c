/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs from files, as libos/core reads them for applications: objects of `clang -target bpf`, or with --use the bare
 * instructions, 8 bytes each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tools/bpf/load.h"

static const char *const use_names[] = { [EXO_USE_PACKET] = "packet", [EXO_USE_WAKE] = "wake", [EXO_USE_OWNER] = "owner" };
static const uint32_t fuels[] = { [EXO_USE_PACKET] = EXO_FUEL_PACKET, [EXO_USE_WAKE] = EXO_FUEL_WAKE,
	[EXO_USE_OWNER] = EXO_FUEL_OWNER };

const char *use_name(uint32_t use)
{
	return use_names[use];
}

uint32_t use_named(const char *name)
{
	uint32_t use;

	for (use = EXO_USE_PACKET; use <= EXO_USE_OWNER; use++)
		if (name && strcmp(name, use_names[use]) == 0)
			return use;
	complain("--use %s: there is no such use: say packet, wake or owner", name ? name : "");
	return 0;
}

int read_file(const char *path, struct bytes *bytes)
{
	FILE *file = fopen(path, "rb");
	size_t got = 0;

	if (!file)
		return complain("%s: %s", path, strerror(errno));
	do {
		bytes->count += got;
		if (bytes->count == bytes->room) {
			bytes->room = 2 * bytes->room + 65536;
			bytes->at = realloc(bytes->at, bytes->room);
			if (!bytes->at)
				exit(2 * complain("there is no memory"));
		}
		got = fread(bytes->at + bytes->count, 1, bytes->room - bytes->count, file);
	} while (got);
	got = (size_t)ferror(file);
	fclose(file);
	return got ? complain("%s: cannot be read", path) : 0;
}

static int read_bare(struct loaded *loaded, const char *path)
{
	struct exo_code *header = &loaded->object.header;

	if (loaded->file.count % sizeof(struct exo_insn) || loaded->file.count == 0 ||
	    loaded->file.count / sizeof(struct exo_insn) > EXO_INSNS_MAX)
		return complain("%s: %zu bytes are not 1 to %d instructions of 8 bytes", path, loaded->file.count,
		    EXO_INSNS_MAX);
	header->insns = (uint32_t)(loaded->file.count / sizeof(struct exo_insn));
	memcpy(loaded->insn, loaded->file.at, loaded->file.count);
	return 0;
}

static int read_object(struct loaded *loaded, const char *path)
{
	struct code_object *object = &loaded->object;
	enum code_status status = code_object_read(object, loaded->file.at, loaded->file.count);
	uint8_t *window[EXO_WINDOWS_OWN];

	for (unsigned w = 0; !status && w < EXO_WINDOWS_OWN; w++) {
		window[w] = calloc(object->header.window[w].frames + 1, EXO_PAGE_SIZE);
		loaded->window[w] = (struct bpf_window){ window[w], object->header.window[w].frames * EXO_PAGE_SIZE };
	}
	if (!status)
		status = code_object_place(object, loaded->insn, loaded->data, window);
	return status ? complain("%s: %s", path, code_status_text(status)) : 0;
}

int load_program(struct loaded *loaded, const char *path, uint32_t use)
{
	struct exo_code *header = &loaded->object.header;
	bool object;

	if (read_file(path, &loaded->file))
		return 1;
	object = loaded->file.count >= 4 && memcmp(loaded->file.at, "\177ELF", 4) == 0;
	if (!object && !use)
		return complain("%s: not an ELF object: compile with clang -target bpf -c, or say with --use what bare "
		    "instructions are for", path);
	if (object ? read_object(loaded, path) : read_bare(loaded, path))
		return 1;
	if (use)
		header->use = use;
	loaded->program = (struct bpf_program){ .insn = loaded->insn, .insns = header->insns, .use = header->use,
		.note = loaded->note, .data = loaded->data, .data_bytes = header->data_bytes,
		.fuel = fuels[header->use] };
	for (unsigned w = 0; w < EXO_WINDOWS_OWN; w++) {
		loaded->program.window_bytes[w] = (uint32_t)loaded->window[w].bytes;
		if (header->window[w].flags & EXO_WINDOW_WRITE)
			loaded->program.window_write |= 1u << w;
	}
	loaded->fuel = loaded->program.fuel;
	return 0;
}

int check_loaded(struct loaded *loaded)
{
	struct native native;

	if (check_program(&loaded->program, &loaded->report))
		return -1;
	native = native_make(&loaded->program, 0x9e3779b97f4a7c15);
	loaded->report.native_bytes = (uint32_t)native.bytes;
	native_free(&native);
	return 0;
}
