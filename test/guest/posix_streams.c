/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams: buffers, places, descriptors, locks, lines, what is given back; what C and POSIX say of their corners. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>
#include "test/guest/tap.h"

#define FILE_NAME	"/tmp/streams.file"

static int made(const char *text)
{
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}

static void opening(void)
{
	int fd = made("0123456789");
	FILE *file = NULL;

	ok(lseek(fd, 3, SEEK_SET) == 3 && (file = fdopen(dup(fd), "r")) && ftell(file) == 3 && getc(file) == '3',
	   "a stream begins where its descriptor is");
	ok(ungetc('x', file) == 'x' && ftell(file) == 3 && getc(file) == 'x' && getc(file) == '4', "a character put back");
	ok(fflush(file) == 0 && lseek(fd, 0, SEEK_CUR) == 5, "flushed, the descriptor is where the program is");
	ok(getc(file) == '5' && fclose(file) == 0 && lseek(fd, 0, SEEK_CUR) == 6, "closed, too");
	errno = 0;
	ok(!fopen(FILE_NAME, "wx") && errno == EEXIST, "x: it is there");
	ok(!fopen(FILE_NAME, "k") && errno == EINVAL, "no mode");
	ok(!fdopen(77, "r") && errno == EBADF, "no descriptor");
	file = fopen(FILE_NAME, "re");
	ok(file && fcntl(fileno(file), F_GETFD) == FD_CLOEXEC && !fdopen(fileno(file), "w") && errno == EINVAL,
	   "e; a mode that does not fit");
	ok(putc('x', file) == EOF && fclose(file) == 0, "what is read is not written");
	file = fopen(FILE_NAME, "a+");
	ok(file && getc(file) == '0' && fseek(file, 0, SEEK_CUR) == 0 && fputs("ab", file) >= 0 && ftell(file) == 12,
	   "appended is at the end");
	ok(fseek(file, -1, SEEK_SET) == -1 && fseek(file, 10, SEEK_SET) == 0 && getc(file) == 'a' &&
	   fseek(file, -1, SEEK_SET) == -1 && getc(file) == 'b' && fclose(file) == 0, "and read again");
	file = fopen(FILE_NAME, "r");
	close(fileno(file));
	errno = 0;
	ok(getc(file) == EOF && errno == EBADF && ferror(file) && fclose(file) == EOF && errno == EBADF,
	   "a descriptor that was closed behind a stream");
	close(fd);
}

static void reopening(void)
{
	FILE *file;
	int fd = made("abc"), number;

	file = fopen(FILE_NAME, "r");
	ok(fputc('x', file) == EOF && errno == EBADF && ferror(file) && (clearerr(file), errno = 0, fwrite("xy", 1, 2, file) == 0) &&
	   errno == EBADF && ferror(file) && fputs("x", file) == EOF && fprintf(file, "x") == -1 && fseek(file, 0, 9) == -1 &&
	   errno == EINVAL && (clearerr(file), getc(file) == 'a') && !ferror(file), "what is only read is not written");
	fclose(file);

	file = fdopen(fd, "r+");
	number = fileno(file);
	ok(getc(file) == 'a' && freopen("/dev/null", "r", file) == file && fileno(file) == number && getc(file) == EOF &&
	   feof(file), "another file with the same number");
	ok(freopen(FILE_NAME, "r+", file) == file && getc(file) == 'a' && freopen(NULL, "a", file) == file &&
	   fputs("d", file) >= 0 && ftell(file) == 4, "another mode of the same");
	ok(!freopen("/tmp/none/none", "r", file) && errno == ENOENT && fcntl(number, F_GETFD) == -1, "closed if that fails");
	number = dup(0);
	ok(fclose(stdin) == 0 && fcntl(0, F_GETFD) == -1, "standard input is closed");
	dup2(number, 0);
}

static void lines(void)
{
	int fd = made("one\n\ntwo\nthree");
	FILE *file = fdopen(fd, "r");
	char *line = NULL;
	size_t room = 1000;

	ok(getline(&line, &room, file) == 4 && !strcmp(line, "one\n") && room >= 5, "a line");
	ok(getline(&line, &room, file) == 1 && getline(&line, &room, file) == 4 && getline(&line, &room, file) == 5 &&
	   !strcmp(line, "three"), "the last, without its end");
	ok(getline(&line, &room, file) == -1 && feof(file), "no more");
	rewind(file);
	ok(getdelim(&line, &room, 'w', file) == 7 && !strcmp(line, "one\n\ntw") && getdelim(NULL, &room, 'w', file) == -1 &&
	   errno == EINVAL, "up to another character");
	free(line);
	fclose(file);
	for (size_t length = 58; length < 64; length++) {	/* around the first size of the buffer */
		char text[80];
		memset(text, 'y', sizeof(text));
		text[length] = '\0';
		file = fdopen(made(text), "r");
		line = NULL;
		room = 0;
		if (getline(&line, &room, file) != (ssize_t)length || strlen(line) != length)
			ok(false, "a line of %zu", length);
		free(line);
		fclose(file);
	}
}

static void *tries(void *file)
{
	return (void *)(intptr_t)ftrylockfile(file);
}

static void locks(void)
{
	pthread_t thread;
	void *result;
	int status;

	flockfile(stderr);
	pthread_create(&thread, NULL, tries, stderr);
	pthread_join(thread, &result);
	ok(result != NULL && ftrylockfile(stderr) == 0, "a stream that is locked is another's");
	fflush(stdout);
	if (fork() == 0) {
		pthread_create(&thread, NULL, tries, stderr);
		pthread_join(thread, &result);
		exit(result != NULL);
	}
	ok(wait(&status) > 0 && status == 0, "but not in a child");
	funlockfile(stderr);
	funlockfile(stderr);
	pthread_create(&thread, NULL, tries, stderr);
	pthread_join(thread, &result);
	ok(!result, "or when it is unlocked");
}

/* What scanf has given back, and then the program; what was read ahead when a process ends. */
static void given_back(void)
{
	int fd = made("one\ntwo\nthree\n"), status, ends[2];
	FILE *file = fdopen(fd, "r");
	char text[8];

	if (!ok(file != NULL, "a stream to read"))
		return;
	ok(fscanf(file, "%[x]", text) == 0 && ungetc('x', file) == 'x' && getc(file) == 'x' && getc(file) == 'o', "ungetc behind scanf");
	ok(ungetc('o', file) == 'o' && ungetc('y', file) == 'y' && ungetc('z', file) == EOF && getc(file) == 'y' &&
	   getc(file) == 'o' && ftell(file) == 1, "two, of which one was read");
	ok(fseek(file, 4, SEEK_SET) == 0 && getc(file) == 't' && ungetc('y', file) == 'y' && fseek(file, 1, SEEK_CUR) == 0 &&
	   ftell(file) == 5 && getc(file) == 'w', "one that was given back counts in a seek from there");
	rewind(file);
	ok(fgets(text, 8, file) && !fflush(NULL) && lseek(fd, 0, SEEK_CUR) == 4, "fflush(NULL): where the reader is");
	if (fork() == 0) {
		(void)fgets(text, 8, file);
		exit(0);
	}
	ok(wait(&status) > 0 && status == 0 && lseek(fd, 0, SEEK_CUR) == 8, "exit: so, too");
	fclose(file);
	file = pipe(ends) == 0 && write(ends[1], "ab", 2) == 2 ? fdopen(ends[0], "r") : NULL;
	ok(file && getc(file) == 'a' && !fflush(NULL) && getc(file) == 'b', "of a pipe what was read ahead stays");
	close(ends[1]);
	if (file)
		fclose(file);
}

static bool no_place(long result)
{
	bool right = result == -1 && errno == ESPIPE;

	errno = 0;
	return right;
}

/* What cannot seek has no places; an error of a flush is the stream's, too. */
static void placeless(void)
{
	int ends[2];
	FILE *file;

	if (!ok(pipe(ends) == 0 && write(ends[1], "abc", 3) == 3 && (file = fdopen(ends[0], "r")), "a pipe to read"))
		return;
	errno = 0;
	ok(no_place(ftell(file)) && no_place(fseek(file, 0, SEEK_SET)) && getc(file) == 'a' && no_place(fseeko(file, 0, SEEK_CUR)) &&
	   no_place(fseek(file, 1, SEEK_CUR)) && no_place(fseek(file, 1, SEEK_SET)) && no_place(fseek(file, 0, SEEK_END)) &&
	   no_place(ftello(file)) && !ferror(file), "ESPIPE");
	ok(ungetc('x', file) == 'x' && no_place(ftell(file)) && no_place(fseek(file, 0, SEEK_CUR)) && getc(file) == 'x' &&
	   getc(file) == 'b' && getc(file) == 'c', "and nothing is lost by it");
	fclose(file);
	close(ends[1]);
	file = pipe(ends) == 0 ? fdopen(ends[1], "w") : NULL;
	ok(file && putc('y', file) == 'y' && no_place(ftell(file)) && no_place(fseek(file, 0, SEEK_CUR)), "one that is written");
	if (file)
		fclose(file);
	close(ends[0]);
	file = fopen("/dev/full", "w");
	ok(file && putc('x', file) == 'x' && !ferror(file) && fflush(file) == EOF && errno == ENOSPC && ferror(file) &&
	   fflush(file) == 0 && ferror(file) && (clearerr(file), !ferror(file)), "a flush that fails is the stream's error");
	ok(putc('x', file) == 'x' && fseek(file, 0, SEEK_SET) == -1 && errno == ENOSPC && ferror(file), "a seek that must write, too");
	fclose(file);
}

/* In a child, whose standard streams are in the middle of files: the number of what is wrong, or 0. */
static int inherited(int fd)
{
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	if (lseek(fd, 4, SEEK_SET) != 4 || getchar() != '4' || ftell(stdin) != 5)
		return 1;
	if (getchar() != '5' || fflush(stdin) != 0 || lseek(fd, 0, SEEK_CUR) != 6)
		return 2;
	if (fseek(stdin, -3, SEEK_CUR) != 0 || getchar() != '3' || ftell(stdin) != 4 || fseek(stdin, 7, SEEK_SET) != 0)
		return 3;
	if (fflush(stdin) != 0 || fputs("xy", stdout) < 0 || ftell(stdout) != 9 || fseek(stdout, -4, SEEK_CUR) != 0)
		return 4;
	return putchar('z') == 'z' && fflush(stdout) == 0 && lseek(fd, 0, SEEK_CUR) == 6 ? 0 : 5;
}

static void standard(void)
{
	int fd = made("0123456789"), status = -1;
	char text[11] = "";

	if (fork() == 0)
		_exit(inherited(fd));
	ok(wait(&status) > 0 && status == 0 && pread(fd, text, 10, 0) == 10 && !strcmp(text, "01234z6xy9"),
	   "standard streams begin where their descriptors are (%d, %s)", WEXITSTATUS(status), text);
	close(fd);
}

static void buffers(void)
{
	int fd = made("0123456789");
	FILE *file = fdopen(fd, "r+");
	const char *ahead;
	size_t bytes;
	char text[8] = "";

	if (!ok(file && __freadable(file) && __fwritable(file) && !__fpending(file), "a stream with an empty buffer"))
		return;
	ok(getc(file) == '0' && __freading(file) && !__fwriting(file) && __freadahead(file) == 9 &&
	   (ahead = __freadptr(file, &bytes)) && bytes == 9 && *ahead == '1' && ungetc('x', file) == 'x' &&
	   __freadahead(file) == 10, "what was read ahead");
	__fpurge(file);
	ok(__freadahead(file) == 0 && getc(file) == EOF, "and is dropped");
	ok(!fseek(file, 2, SEEK_SET) && fputs("abc", file) >= 0 && __fwriting(file) && !__freading(file) && __fpending(file) == 3,
	   "what is to be written");
	__fpurge(file);
	ok(__fpending(file) == 0 && !fflush(file) && pread(fd, text, 5, 0) == 5 && !strcmp(text, "01234"), "and is dropped");
	__fseterr(file);
	ok(ferror(file), "an error that is said to be one");
	fclose(file);
	ok(!strcmp(getprogname(), program_invocation_short_name) && strstr(program_invocation_name, getprogname()),
	   "the program's name");
}

/* What a call writes into stderr comes as one packet; how often it does not. */
static int in_one(int ends[2])
{
	static const char *const wanted[] = { "a 1 of b", "text\n", "bytes", "c", "x: No such file or directory\n", "7" };
	char got[64];
	int wrong = 0;

	fprintf(stderr, "%c %d of %s", 'a', 1, "b");
	fputs("text\n", stderr);
	wrong += fwrite("bytes", 1, 5, stderr) != 5;
	putc('c', stderr);
	errno = ENOENT;
	perror("x");
	fwprintf(stderr, L"%d", 7);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		ssize_t bytes = recv(ends[0], got, sizeof(got), MSG_DONTWAIT);

		wrong += bytes != (ssize_t)strlen(wanted[i]) || memcmp(got, wanted[i], (size_t)bytes);
	}
	return wrong + (recv(ends[0], got, sizeof(got), MSG_DONTWAIT) != -1);
}

/* Long ones are in few packets, and none is empty. */
static bool in_few(int ends[2])
{
	char got[1000];
	int packets = 0, sum = 0;
	ssize_t bytes;

	fprintf(stderr, "%999d\n", 5);
	while ((bytes = recv(ends[0], got, sizeof(got), MSG_DONTWAIT)) > 0) {
		packets++;
		sum += (int)bytes;
	}
	return sum == 1000 && packets <= 4;
}

static void pieces(void)
{
	int ends[2], saved = dup(2), wrong;
	FILE *file;
	char text[16];
	bool few, error;

	if (!ok(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), "a socket that keeps writes apart"))
		return;
	dup2(ends[1], 2);
	wrong = in_one(ends);
	few = in_few(ends);
	close(2);
	error = fprintf(stderr, "x") == -1 && errno == EBADF && ferror(stderr) && fputs("x", stderr) == EOF;
	dup2(saved, 2);
	clearerr(stderr);
	close(saved);
	ok(wrong == 0, "what a call writes into stderr goes out in one piece: %d that do not", wrong);
	ok(few, "and what is long in few");
	ok(error, "what cannot be written is told at once");
	file = fdopen(dup(ends[1]), "w");
	ok(file && setvbuf(file, NULL, 77, 0) && !setvbuf(file, NULL, _IOLBF, 0), "lines with a buffer of the library's");
	for (int i = 0; i < 20; i++)
		fputs("01234567\n9", file);
	ok(recv(ends[0], text, sizeof(text), MSG_DONTWAIT) == 9 && recv(ends[0], text, sizeof(text), MSG_DONTWAIT) == 10,
	   "each goes out as one");
	while (recv(ends[0], text, sizeof(text), MSG_DONTWAIT) > 0)
		;
	ok(!setvbuf(file, NULL, _IOFBF, 100) && recv(ends[0], text, sizeof(text), MSG_DONTWAIT) == 1, "what is there goes out before it changes");
	ok(fputs("0123", file) >= 0 && !setvbuf(file, NULL, _IONBF, 0) && recv(ends[0], text, sizeof(text), 0) == 4 &&
	   fprintf(file, "%d", 12) == 2 && recv(ends[0], text, sizeof(text), MSG_DONTWAIT) == 2, "none");
	fclose(file);
	file = fdopen(made("0123456789"), "r");
	ok(file && getc(file) == '0' && !setvbuf(file, NULL, _IONBF, 0) && fgets(text, sizeof(text), file) &&
	   !strcmp(text, "123456789"), "what was read ahead stays");
	if (file)
		fclose(file);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	buffers();
	pieces();
	given_back();
	placeless();
	standard();
	opening();
	reopening();
	lines();
	locks();
	unlink(FILE_NAME);
	return tap_done();
}
