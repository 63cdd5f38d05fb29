/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot module: init's own ELF image, padded to whole pages, and behind it a tar archive.
 */
#include <string.h>
#include "apps/init/init.h"
#include "libos/vm/vm.h"

/* Demand-zero memory that is never given back. */
static void *memory(uint64_t bytes)
{
	static struct vm_region region;

	region.start = vm_addresses(bytes);
	region.end = region.start + PAGE_UP(bytes);
	region.pager = vm_zero_pager;
	region.flags = EXO_MAP_READ | EXO_MAP_WRITE;
	return region.start && vm_add(&region) ? (void *)region.start : NULL;
}

/* The module's frames with fewer rights. */
static exo_cap_t with_rights(exo_cap_t module, uint64_t rights)
{
	uint64_t count = caps_at(exo_cap_slot(module))->count, done = count < EXO_RANGE_MAX ? count : EXO_RANGE_MAX;
	int64_t cap = caps_derive(module, rights, 0, done), more = 1;

	while (cap > 0 && more > 0 && done < count) {
		uint64_t part = count - done < EXO_RANGE_MAX ? count - done : EXO_RANGE_MAX;
		more = exo_cap_derive(module, EXO_CAP_NONE, (uint64_t)cap, rights, done, part);
		done += more > 0 ? (uint64_t)more : 0;
	}
	if (cap <= 0 || more <= 0)
		init_fail("cannot share the boot module: %s", exo_error_text(cap <= 0 ? cap : more));
	return (exo_cap_t)cap;
}

void archive_open(struct boot_archive *archive)
{
	uint64_t module_bytes = core_begin->module_bytes;
	struct tar_error wrong;
	size_t own;

	exo_cap_t module = core_named(EXO_NAME_MODULE);
	if (!module || !module_bytes)
		init_fail("there is no boot module");
	archive->data_cap = with_rights(module, EXO_RIGHT_READ);
	archive->text_cap = with_rights(module, EXO_RIGHT_READ | EXO_RIGHT_EXEC);
	exo_vaddr_t va = vm_addresses(module_bytes);
	int64_t error = va ? space_map(va, EXO_MAP_READ, archive->data_cap, 0,
				       (uint32_t)(PAGE_UP(module_bytes) / EXO_PAGE_SIZE)) : -EXO_EINVAL;
	if (error)
		init_fail("cannot map the boot module of %lu bytes: %s", module_bytes, exo_error_text(error));
	archive->module = (const char *)va;
	enum elf_status status = elf_extent(archive->module, module_bytes, &own);
	if (status != ELF_OK)
		init_fail("the boot module's own image: %s", elf_text(status));
	archive->at = PAGE_UP(own);
	if (archive->at >= module_bytes)
		init_fail("the boot module has no archive behind init.elf");
	archive->bytes = module_bytes - archive->at;
	size_t need = tar_need(archive->module + archive->at, archive->bytes, &wrong);
	void *index = need ? memory(need) : NULL;
	if (need && !index)
		init_fail("no memory for the archive's index of %lu bytes", need);
	if (!need || tar_open(&archive->tar, archive->module + archive->at, archive->bytes, index, need,
			      &wrong) != TAR_OK)
		init_fail("boot archive, at byte %lu: %s", wrong.offset, wrong.text);
}

const struct tar_node *archive_file(const struct boot_archive *archive, const char *path)
{
	enum tar_status status;
	const struct tar_node *node = tar_find(&archive->tar, NULL, path, strlen(path), &status);

	return node && node->kind == TAR_FILE ? node : NULL;
}
