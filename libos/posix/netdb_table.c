/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services and protocols by name and number (POSIX.1-2017): /etc/services first, then a short table; protocols only
 * from a table. As POSIX allows, the records given out are overwritten by the next call.
 */
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/posix/netdb_table.h"

static const struct {
	const char *name;
	uint16_t port;
	uint8_t tcp, udp;
} services[] = {
	{ "echo", 7, 1, 1 }, { "discard", 9, 1, 1 }, { "daytime", 13, 1, 1 }, { "chargen", 19, 1, 1 },
	{ "ftp-data", 20, 1, 0 }, { "ftp", 21, 1, 0 }, { "ssh", 22, 1, 0 }, { "telnet", 23, 1, 0 },
	{ "smtp", 25, 1, 0 }, { "time", 37, 1, 1 }, { "domain", 53, 1, 1 }, { "bootps", 67, 0, 1 },
	{ "bootpc", 68, 0, 1 }, { "tftp", 69, 0, 1 }, { "gopher", 70, 1, 0 }, { "finger", 79, 1, 0 },
	{ "http", 80, 1, 0 }, { "pop3", 110, 1, 0 }, { "sunrpc", 111, 1, 1 }, { "ntp", 123, 0, 1 },
	{ "imap2", 143, 1, 0 }, { "snmp", 161, 1, 1 }, { "irc", 194, 1, 1 }, { "ldap", 389, 1, 1 },
	{ "https", 443, 1, 1 }, { "syslog", 514, 0, 1 }, { "imaps", 993, 1, 0 }, { "pop3s", 995, 1, 0 },
	{ "http-alt", 8080, 1, 1 },
};

static const struct {
	const char *name, *alias;
	int number;
} protocols[] = {
	{ "ip", "IP", IPPROTO_IP }, { "icmp", "ICMP", IPPROTO_ICMP }, { "tcp", "TCP", IPPROTO_TCP },
	{ "udp", "UDP", IPPROTO_UDP }, { "ipv6", "IPv6", IPPROTO_IPV6 }, { "ipv6-icmp", "IPv6-ICMP", IPPROTO_ICMPV6 },
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static struct services all;	/* of the calls with one record for everybody */
static unsigned next_protocol;
static struct protoent protocol;

/* The next record of the file: "name port/protocol alias ... # words". */
static bool from_file(struct services *walk)
{
	struct servent *one = &walk->one;
	char *rest, *port;

	if (!walk->file && !walk->file_is_done)
		walk->file = fopen("/etc/services", "r");
	while (walk->file && fgets(walk->line, sizeof(walk->line), walk->file)) {
		unsigned count = 0;

		walk->line[strcspn(walk->line, "#\n")] = 0;
		one->s_name = strtok_r(walk->line, " \t", &rest);
		port = one->s_name ? strtok_r(NULL, " \t", &rest) : NULL;
		one->s_proto = port ? strchr(port, '/') : NULL;
		if (!one->s_proto)
			continue;
		*one->s_proto++ = 0;
		one->s_port = htons(atoi(port));
		while (count < NETDB_ALIASES && (walk->aliases[count] = strtok_r(NULL, " \t", &rest)) != NULL)
			count++;
		walk->aliases[count] = NULL;
		one->s_aliases = walk->aliases;
		return true;
	}
	walk->file_is_done = true;
	return false;
}

static bool from_table(struct services *walk)
{
	while (walk->next / 2 < COUNT(services)) {
		unsigned at = walk->next++;

		if (!(at % 2 ? services[at / 2].udp : services[at / 2].tcp))
			continue;
		walk->aliases[0] = NULL;
		walk->one = (struct servent){
			.s_name = (char *)services[at / 2].name, .s_aliases = walk->aliases,
			.s_port = htons(services[at / 2].port), .s_proto = at % 2 ? (char *)"udp" : (char *)"tcp",
		};
		return true;
	}
	return false;
}

static bool next(struct services *walk)
{
	return from_file(walk) || from_table(walk);
}

static void end(struct services *walk)
{
	if (walk->file)
		fclose(walk->file);
	walk->file = NULL;
	walk->file_is_done = false;
	walk->next = 0;
}

static bool is_named(const struct servent *found, const char *name)
{
	for (char **alias = found->s_aliases; *alias; alias++) {
		if (!strcmp(*alias, name))
			return true;
	}
	return !strcmp(found->s_name, name);
}

const struct servent *services_find(struct services *walk, const char *name, int port, const char *wanted)
{
	bool found = false;

	walk->file = NULL;
	end(walk);
	while (!found && next(walk))
		found = (!wanted || !strcmp(walk->one.s_proto, wanted)) &&
		    (name ? is_named(&walk->one, name) : walk->one.s_port == port);
	end(walk);
	return found ? &walk->one : NULL;
}

struct servent *getservent(void)
{
	return next(&all) ? &all.one : NULL;
}

void endservent(void)
{
	end(&all);
}

void setservent(int stay)
{
	(void)stay;
	end(&all);
}

struct servent *getservbyname(const char *name, const char *wanted)
{
	end(&all);
	return services_find(&all, name, 0, wanted) ? &all.one : NULL;
}

struct servent *getservbyport(int port, const char *wanted)
{
	end(&all);
	return services_find(&all, NULL, port, wanted) ? &all.one : NULL;
}

/* --- protocols ------------------------------------------------------------------------------------------------ */

struct protoent *getprotoent(void)
{
	static char *alias[2];

	if (next_protocol == COUNT(protocols))
		return NULL;
	alias[0] = (char *)protocols[next_protocol].alias;
	protocol = (struct protoent){
		.p_name = (char *)protocols[next_protocol].name, .p_aliases = alias,
		.p_proto = protocols[next_protocol].number,
	};
	next_protocol++;
	return &protocol;
}

void setprotoent(int stay)
{
	(void)stay;
	next_protocol = 0;
}

void endprotoent(void)
{
	next_protocol = 0;
}

struct protoent *getprotobyname(const char *name)
{
	struct protoent *found;

	setprotoent(0);
	while ((found = getprotoent()) != NULL && strcmp(found->p_name, name) && strcmp(found->p_aliases[0], name))
		;
	return found;
}

struct protoent *getprotobynumber(int number)
{
	struct protoent *found;

	setprotoent(0);
	while ((found = getprotoent()) != NULL && found->p_proto != number)
		;
	return found;
}
