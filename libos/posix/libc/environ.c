/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The environment: setenv, putenv, unsetenv, clearenv. picolibc's putenv copies what it is given; POSIX wants the string itself
 * to become part of the environment, so that who changes it changes that.
 *
 * Invariants: `ours` has the strings that setenv made and that are still in the environment; they are freed when they
 * leave it. `table`, where it is not NULL, is a vector from malloc; `environ` is that, unless the program led it elsewhere.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static pthread_mutex_t environ_lock = PTHREAD_MUTEX_INITIALIZER;
static char **table, **ours;
static size_t table_room, ours_count, ours_room;

static char **entry_find(char **from, const char *name, size_t length)
{
	for (; from && *from; from++)
		if (!strncmp(*from, name, length) && (*from)[length] == '=')
			return from;
	return NULL;
}

/* A string has left the environment. */
static void let_go(char *text)
{
	for (size_t i = 0; i < ours_count; i++)
		if (ours[i] == text) {
			ours[i] = ours[--ours_count];
			free(text);
			return;
		}
}

/* Room for one more in a vector from malloc. */
static bool room_for(char ***vector, size_t *room, size_t count)
{
	char **larger;

	if (count < *room)
		return true;
	larger = realloc(*vector, (count * 2 + 16) * sizeof(*larger));
	if (!larger)
		return false;
	*vector = larger;
	*room = count * 2 + 16;
	return true;
}

static bool entry_add(char *text)
{
	bool elsewhere = environ != table;
	size_t count = 0;

	while (environ && environ[count])
		count++;
	if (!room_for(&table, &table_room, count + 1))
		return false;
	if (elsewhere && count)
		memcpy(table, environ, count * sizeof(*table));
	table[count] = text;
	table[count + 1] = NULL;
	environ = table;
	return true;
}

/* `text`, "NAME=VALUE", takes the place of what has that name. */
static bool entry_put(char *text, size_t length)
{
	char **at = entry_find(environ, text, length), *before;

	if (!at)
		return entry_add(text);
	before = *at;
	*at = text;
	if (before != text)
		let_go(before);
	return true;
}

static bool is_name(const char *name)
{
	if (name && *name && !strchr(name, '='))
		return true;
	errno = EINVAL;
	return false;
}

int setenv(const char *name, const char *value, int replaces)
{
	size_t length, bytes;
	char *text = NULL;
	bool done;

	if (!is_name(name))
		return -1;
	length = strlen(name);
	bytes = strlen(value) + 1;
	pthread_mutex_lock(&environ_lock);
	done = !replaces && entry_find(environ, name, length);
	if (!done && room_for(&ours, &ours_room, ours_count) && (text = malloc(length + 1 + bytes))) {
		memcpy(text, name, length);
		text[length] = '=';
		memcpy(text + length + 1, value, bytes);
		done = entry_put(text, length);
		if (done)
			ours[ours_count++] = text;
		else
			free(text);
	}
	pthread_mutex_unlock(&environ_lock);
	return done ? 0 : -1;
}

int unsetenv(const char *name)
{
	size_t length;

	if (!is_name(name))
		return -1;
	length = strlen(name);
	pthread_mutex_lock(&environ_lock);
	for (char **at = environ; (at = entry_find(at, name, length));) {
		char *before = *at;

		for (char **next = at; (*next = next[1]); next++)
			;
		let_go(before);
	}
	pthread_mutex_unlock(&environ_lock);
	return 0;
}

/* Without "=" the name is removed, as elsewhere. */
int putenv(char *text)
{
	const char *equals = strchr(text, '=');
	bool done;

	if (!equals)
		return unsetenv(text);
	pthread_mutex_lock(&environ_lock);
	done = entry_put(text, (size_t)(equals - text));
	pthread_mutex_unlock(&environ_lock);
	return done ? 0 : -1;
}

int clearenv(void)
{
	pthread_mutex_lock(&environ_lock);
	while (ours_count)
		free(ours[--ours_count]);
	if (environ)
		*environ = NULL;
	pthread_mutex_unlock(&environ_lock);
	return 0;
}
