/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What replacement policies share: lists of pages, second chance, and what is done where a policy says
 * nothing. See policy.h.
 */
#include "libos/vm/policy.h"

void policy_append(struct policy_set *set, unsigned list, uint32_t page)
{
	struct policy_list *l = &set->list[list];
	struct policy_page *p = &set->page[page];

	p->list = (uint16_t)(list + 1);
	p->next = POLICY_NONE;
	p->prev = l->tail;
	if (l->tail == POLICY_NONE)
		l->head = page;
	else
		set->page[l->tail].next = page;
	l->tail = page;
	l->count++;
}

void policy_remove(struct policy_set *set, uint32_t page)
{
	struct policy_page *p = &set->page[page];
	struct policy_list *l;

	if (!p->list)
		return;
	l = &set->list[p->list - 1];
	if (p->prev == POLICY_NONE)
		l->head = p->next;
	else
		set->page[p->prev].next = p->next;
	if (p->next == POLICY_NONE)
		l->tail = p->prev;
	else
		set->page[p->next].prev = p->prev;
	p->list = 0;
	l->count--;
}

uint32_t policy_second_chance(struct policy_set *set, unsigned list)
{
	uint32_t page = set->list[list].head;

	for (uint32_t left = set->list[list].count; left && set->used(set, page); left--) {
		policy_remove(set, page);
		policy_append(set, list, page);
		page = set->list[list].head;
	}
	return page;
}

void policy_start(struct policy_set *set, const struct policy *policy)
{
	set->policy = policy;
	set->resident = 0;
	for (unsigned i = 0; i < POLICY_LISTS; i++)
		set->list[i] = (struct policy_list){ POLICY_NONE, POLICY_NONE, 0 };
	for (uint32_t i = 0; i < set->pages; i++)
		set->page[i] = (struct policy_page){ 0 };
}

void policy_loaded(struct policy_set *set, uint32_t page)
{
	set->resident++;
	set->page[page].resident = 1;
	if (set->policy->loaded)
		set->policy->loaded(set, page);
	else
		policy_append(set, 0, page);
}

void policy_dropped(struct policy_set *set, uint32_t page)
{
	set->resident--;
	set->page[page].resident = 0;
	if (set->policy->dropped)
		set->policy->dropped(set, page);
	else
		policy_remove(set, page);
}
