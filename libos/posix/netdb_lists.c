/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hosts one after the other, as /etc/hosts has them, and networks by name and number: /etc/networks, then "loopback"
 * (POSIX.1-2017). Lines are "ADDRESS name alias ..." and "name NUMBER alias ...", with # before what is no part of them.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE	512
#define ALIASES	16

struct list {
	const char *path;
	FILE *file;
	bool is_done;		/* with the file */
	char line[LINE];
	char *words[ALIASES + 3];
};

static struct list hosts = { .path = "/etc/hosts" }, networks = { .path = "/etc/networks" };

/* The words of the next line that has two; false: there is none. */
static bool next_line(struct list *list)
{
	char *rest;
	unsigned count;

	if (!list->file && !list->is_done)
		list->file = fopen(list->path, "re");
	while (list->file && fgets(list->line, sizeof(list->line), list->file)) {
		list->line[strcspn(list->line, "#\n")] = '\0';
		list->words[0] = strtok_r(list->line, " \t", &rest);
		for (count = 1; list->words[count - 1] && count < ALIASES + 2; count++)
			list->words[count] = strtok_r(NULL, " \t", &rest);
		list->words[count] = NULL;
		if (list->words[0] && list->words[1])
			return true;
	}
	list->is_done = true;
	return false;
}

static void rewind_list(struct list *list)
{
	if (list->file)
		fclose(list->file);
	list->file = NULL;
	list->is_done = false;
}

/* --- hosts ---------------------------------------------------------------------------------------------------- */

void sethostent(int stay)
{
	(void)stay;
	rewind_list(&hosts);
}

void endhostent(void)
{
	rewind_list(&hosts);
}

struct hostent *gethostent(void)
{
	static struct in_addr address;
	static char *addresses[2];
	static struct hostent one;

	do {
		if (!next_line(&hosts))
			return NULL;
	} while (inet_pton(AF_INET, hosts.words[0], &address) != 1);
	addresses[0] = (char *)&address;
	one = (struct hostent){
		.h_name = hosts.words[1], .h_aliases = hosts.words + 2, .h_addrtype = AF_INET,
		.h_length = sizeof(address), .h_addr_list = addresses,
	};
	return &one;
}

/* --- networks ------------------------------------------------------------------------------------------------- */

static struct netent network;
static bool loopback_is_told;

/* A network's number, of one to four parts: 127, 192.168.1; zeros behind it are left out. */
static bool network_number(const char *text, uint32_t *number)
{
	unsigned parts = 0;

	*number = 0;
	for (;; text++) {
		char *end;
		unsigned long part = strtoul(text, &end, 10);

		if (end == text || part > 255 || ++parts > 4)
			return false;
		*number = *number << 8 | (uint32_t)part;
		text = end;
		if (*text != '.')
			break;
	}
	while (parts > 1 && !(*number & 0xff)) {
		*number >>= 8;
		parts--;
	}
	return !*text;
}

void setnetent(int stay)
{
	(void)stay;
	rewind_list(&networks);
	loopback_is_told = false;
}

void endnetent(void)
{
	setnetent(0);
}

struct netent *getnetent(void)
{
	static char *none[1];
	uint32_t number;

	while (next_line(&networks)) {
		if (!network_number(networks.words[1], &number))
			continue;
		network = (struct netent){
			.n_name = networks.words[0], .n_aliases = networks.words + 2, .n_addrtype = AF_INET,
			.n_net = number,
		};
		return &network;
	}
	if (loopback_is_told)
		return NULL;
	loopback_is_told = true;
	network = (struct netent){ .n_name = (char *)"loopback", .n_aliases = none, .n_addrtype = AF_INET, .n_net = 127 };
	return &network;
}

static bool is_called(const struct netent *one, const char *name)
{
	for (char **alias = one->n_aliases; *alias; alias++)
		if (!strcasecmp(*alias, name))
			return true;
	return !strcasecmp(one->n_name, name);
}

struct netent *getnetbyname(const char *name)
{
	struct netent *one;

	setnetent(0);
	while ((one = getnetent()) != NULL && !is_called(one, name))
		;
	return one;
}

struct netent *getnetbyaddr(uint32_t number, int type)
{
	struct netent *one;

	setnetent(0);
	while (number > 0xff && !(number & 0xff))
		number >>= 8;
	while ((one = getnetent()) != NULL && (one->n_net != number || (type != AF_INET && type != AF_UNSPEC)))
		;
	return one;
}
