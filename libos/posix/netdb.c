/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of hosts (POSIX.1-2017): numbers, "localhost", /etc/hosts, then a name server, which the keeper asks.
 *
 * There is no IPv6 and no name leads to an address of it, but numbers of it are translated, both ways, as everywhere: who
 * then wants a socket for them is told by socket().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "libos/posix/call.h"
#include "libos/posix/netdb_table.h"

#define LINE	256
#define FLAGS	(AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG | AI_NUMERICSERV)

_Thread_local int h_errno;

/* Look into /etc/hosts: for a name (then *address is set) or, if it is NULL, for the name of an address. */
static bool in_hosts(const char *name, uint32_t *address, char *found, size_t bytes)
{
	FILE *file = fopen("/etc/hosts", "r");
	char line[LINE], *word, *rest;
	bool is = false;

	while (file && !is && fgets(line, sizeof(line), file)) {
		uint32_t number;

		line[strcspn(line, "#\n")] = 0;
		word = strtok_r(line, " \t", &rest);
		if (!word || inet_pton(AF_INET, word, &number) != 1)
			continue;
		while (!is && (word = strtok_r(NULL, " \t", &rest)) != NULL) {
			is = name ? !strcasecmp(word, name) : number == *address;
			if (is && name)
				*address = number;
			if (is && found)
				snprintf(found, bytes, "%s", word);
		}
	}
	if (file)
		fclose(file);
	return is;
}

/* 0 or EAI_*. */
static int address_of(const char *name, bool numeric, uint32_t *address)
{
	struct in_addr number;
	uint64_t more[2];
	int64_t result;

	if (inet_aton(name, &number)) {
		*address = number.s_addr;
		return 0;
	}
	if (numeric || !*name || strchr(name, ':'))
		return EAI_NONAME;
	if (in_hosts(name, address, NULL, 0))
		return 0;
	if (!strcasecmp(name, "localhost")) {
		*address = htonl(INADDR_LOOPBACK);
		return 0;
	}
	result = posix_ask_path(REQUEST_RESOLVE, name, 0, 0, 0, more);
	*address = (uint32_t)more[0];
	switch (result) {
	case 0:
		return 0;
	case -EAGAIN:
		return EAI_AGAIN;
	case -ENOMEM:
		return EAI_MEMORY;
	default:
		return EAI_NONAME;
	}
}

/* --- getaddrinfo ---------------------------------------------------------------------------------------------- */

static const struct {
	int type, protocol;
	const char *name;
} kinds[] = { { SOCK_STREAM, IPPROTO_TCP, "tcp" }, { SOCK_DGRAM, IPPROTO_UDP, "udp" }, { SOCK_RAW, 0, NULL } };

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

struct answer {
	struct addrinfo info;	/* first */
	union address address;
};

/* The port of a service for one kind, network byte order; 0 or EAI_*. */
static int port_of(const char *text, int flags, unsigned kind, uint16_t *port)
{
	const struct servent *found;
	struct services walk;
	unsigned long number;
	char *end;

	*port = 0;
	if (!text)
		return 0;
	number = strtoul(text, &end, 10);
	if (*text && !*end && *text >= '0' && *text <= '9') {
		*port = htons(number);
		return number > 65535 ? EAI_SERVICE : 0;
	}
	if (flags & AI_NUMERICSERV)
		return EAI_NONAME;
	found = kinds[kind].name ? services_find(&walk, text, 0, kinds[kind].name) : NULL;
	if (!found)
		return EAI_SERVICE;
	*port = (uint16_t)found->s_port;
	return 0;
}

static struct answer *answer_make(unsigned kind, const union address *address, uint16_t port,
				  const struct addrinfo *hints)
{
	struct answer *answer = calloc(1, sizeof(*answer));

	if (!answer)
		return NULL;
	answer->address = *address;
	answer->address.four.sin_port = port;	/* where that of IPv6 is, too */
	answer->info = (struct addrinfo){
		.ai_flags = hints->ai_flags, .ai_family = address->any.sa_family, .ai_socktype = kinds[kind].type,
		.ai_protocol = kinds[kind].protocol ? kinds[kind].protocol : hints->ai_protocol,
		.ai_addrlen = address->any.sa_family == AF_INET ? sizeof(address->four) : sizeof(address->six),
		.ai_addr = &answer->address.any,
	};
	return answer;
}

static int answers_make(const char *node, const char *service, const union address *address,
			const struct addrinfo *hints, struct addrinfo **result)
{
	int error = EAI_SOCKTYPE;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct answer *answer;
		uint16_t port;

		if (hints->ai_socktype ? hints->ai_socktype != kinds[i].type : kinds[i].type == SOCK_RAW && service)
			continue;
		if (hints->ai_protocol && kinds[i].protocol && hints->ai_protocol != kinds[i].protocol)
			continue;
		error = port_of(service, hints->ai_flags, i, &port);
		if (error)
			continue;
		answer = answer_make(i, address, port, hints);
		if (!answer)
			return EAI_MEMORY;
		*result = &answer->info;
		result = &answer->info.ai_next;
		if (hints->ai_flags & AI_CANONNAME && !answer->info.ai_canonname) {
			answer->info.ai_canonname = strdup(node);
			if (!answer->info.ai_canonname)
				return EAI_MEMORY;
		}
	}
	return error;
}

static int find_four(const char *node, int flags, struct sockaddr_in *four)
{
	*four = (struct sockaddr_in){ .sin_family = AF_INET };
	if (node)
		return address_of(node, flags & AI_NUMERICHOST, &four->sin_addr.s_addr);
	four->sin_addr.s_addr = htonl(flags & AI_PASSIVE ? INADDR_ANY : INADDR_LOOPBACK);
	return 0;
}

/* Where IPv6 is all that is wanted and the node is no number of it. */
static int find_six(const char *node, int flags, struct sockaddr_in6 *six)
{
	struct sockaddr_in four;
	int error;

	if (flags & AI_ADDRCONFIG || (node && !(flags & AI_V4MAPPED)))
		return EAI_NONAME;
	*six = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	if (!node) {
		six->sin6_addr = flags & AI_PASSIVE ? in6addr_any : in6addr_loopback;
		return 0;
	}
	error = find_four(node, flags, &four);
	six->sin6_addr.s6_addr16[5] = 0xffff;
	six->sin6_addr.s6_addr32[3] = four.sin_addr.s_addr;
	return error;
}

static int find(const char *node, const struct addrinfo *hints, union address *address)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };

	if (node && hints->ai_family != AF_INET && inet_pton(AF_INET6, node, &six.sin6_addr) == 1) {
		address->six = six;
		return 0;
	}
	return hints->ai_family == AF_INET6 ? find_six(node, hints->ai_flags, &address->six) :
		find_four(node, hints->ai_flags, &address->four);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	static const struct addrinfo none;
	struct addrinfo *first = NULL;
	union address address;
	int error;

	if (!hints)
		hints = &none;
	if (!node && !service)
		return EAI_NONAME;
	if (hints->ai_flags & ~FLAGS || (hints->ai_flags & AI_CANONNAME && !node))
		return EAI_BADFLAGS;
	if (hints->ai_family != AF_UNSPEC && hints->ai_family != AF_INET && hints->ai_family != AF_INET6)
		return EAI_FAMILY;
	error = find(node, hints, &address);
	if (error)
		return error;
	error = answers_make(node, service, &address, hints, &first);
	if (first && error != EAI_MEMORY) {
		*result = first;
		return 0;
	}
	freeaddrinfo(first);
	return error;
}

void freeaddrinfo(struct addrinfo *result)
{
	while (result) {
		struct addrinfo *next = result->ai_next;

		free(result->ai_canonname);
		free(result);
		result = next;
	}
}

const char *gai_strerror(int error)
{
	switch (error) {
	case 0: return "No error";
	case EAI_BADFLAGS: return "Such flags are not known here";
	case EAI_NONAME: return "There is no such host or service";
	case EAI_AGAIN: return "No name server answers for now";
	case EAI_FAIL: return "Names cannot be looked up";
	case EAI_NODATA: return "The host has no address";
	case EAI_FAMILY: return "This family of addresses is not supported";
	case EAI_SOCKTYPE: return "This type of socket is not supported";
	case EAI_SERVICE: return "There is no such service for this type of socket";
	case EAI_MEMORY: return "Out of memory";
	case EAI_SYSTEM: return "System error";
	case EAI_OVERFLOW: return "The buffer is too small";
	default: return "Unknown error";
	}
}

/* --- the other way --------------------------------------------------------------------------------------------- */

static int text_out(const char *text, char *host, socklen_t bytes)
{
	if (strlen(text) >= bytes)
		return EAI_OVERFLOW;
	strcpy(host, text);
	return 0;
}

static int six_out(const struct in6_addr *address, char *host, socklen_t bytes, int flags)
{
	char text[INET6_ADDRSTRLEN];

	return flags & NI_NAMEREQD ? EAI_NONAME :
		text_out(inet_ntop(AF_INET6, address, text, sizeof(text)), host, bytes);
}

static int host_out(uint32_t address, char *host, socklen_t bytes, int flags)
{
	char name[NI_MAXHOST];

	if (flags & NI_NUMERICHOST || !in_hosts(NULL, &address, name, sizeof(name))) {
		if (!(flags & NI_NUMERICHOST) && address == htonl(INADDR_LOOPBACK))
			strcpy(name, "localhost");
		else if (flags & NI_NAMEREQD)
			return EAI_NONAME;
		else
			inet_ntop(AF_INET, &address, name, sizeof(name));
	}
	return text_out(name, host, bytes);
}

static int service_out(uint16_t port, char *service, socklen_t bytes, int flags)
{
	struct services walk;
	const struct servent *found = flags & NI_NUMERICSERV ? NULL :
	    services_find(&walk, NULL, port, flags & NI_DGRAM ? "udp" : "tcp");
	int length = found ? snprintf(service, bytes, "%s", found->s_name) :
		snprintf(service, bytes, "%u", ntohs(port));

	return (socklen_t)length >= bytes ? EAI_OVERFLOW : 0;
}

int getnameinfo(const struct sockaddr *address, socklen_t bytes, char *host, socklen_t host_bytes, char *service,
    socklen_t service_bytes, int flags)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	int error = 0;

	if (bytes < sizeof(*in) || (in->sin_family != AF_INET && (in->sin_family != AF_INET6 || bytes < sizeof(*six))))
		return EAI_FAMILY;
	if (!(host && host_bytes) && !(service && service_bytes))
		return EAI_NONAME;
	if (host && host_bytes && in->sin_family == AF_INET6)
		error = six_out(&six->sin6_addr, host, host_bytes, flags);
	else if (host && host_bytes)
		error = host_out(in->sin_addr.s_addr, host, host_bytes, flags);
	if (!error && service && service_bytes)
		error = service_out(in->sin_port, service, service_bytes, flags);
	return error;
}

/* --- the old calls ---------------------------------------------------------------------------------------------- */

static struct hostent *entry(const char *name, uint32_t address)
{
	static char text[NI_MAXHOST], *no_aliases[1], *addresses[2];
	static struct in_addr number;
	static struct hostent host;

	snprintf(text, sizeof(text), "%s", name);
	number.s_addr = address;
	addresses[0] = (char *)&number;
	host = (struct hostent){
		.h_name = text, .h_aliases = no_aliases, .h_addrtype = AF_INET, .h_length = 4,
			.h_addr_list = addresses,
	};
	return &host;
}

struct hostent *gethostbyname(const char *name)
{
	uint32_t address;
	int error = address_of(name, false, &address);

	if (!error)
		return entry(name, address);
	h_errno = error == EAI_AGAIN ? TRY_AGAIN : error == EAI_NONAME ? HOST_NOT_FOUND : NO_RECOVERY;
	return NULL;
}

struct hostent *gethostbyaddr(const void *address, socklen_t bytes, int family)
{
	char name[NI_MAXHOST];
	uint32_t number;

	h_errno = HOST_NOT_FOUND;
	if (family != AF_INET || bytes != sizeof(number))
		return NULL;
	memcpy(&number, address, sizeof(number));
	return host_out(number, name, sizeof(name), NI_NAMEREQD) ? NULL : entry(name, number);
}

const char *hstrerror(int error)
{
	switch (error) {
	case 0: return "No error";
	case HOST_NOT_FOUND: return "There is no such host";
	case TRY_AGAIN: return "No name server answers for now";
	case NO_DATA: return "The host has no address";
	default: return "Names cannot be looked up";
	}
}

void herror(const char *text)
{
	fprintf(stderr, "%s%s%s\n", text ? text : "", text && *text ? ": " : "", hstrerror(h_errno));
}
