/* stream take PORT: takes connections, one after the other, and throws away what comes.
 * stream send ADDR PORT BYTES: sends so much, waits until the other side has taken it, and prints how long that took,
 * in microseconds.
 * stream connect ADDR PORT COUNT: makes so many connections, one after the other, and prints how long that took. Each ends by a
 * reset, so that none is left in TIME_WAIT, where a thousand of them would hold the ports of the next ones. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 16];

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int take(const char *port)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, peer;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 128))
		return fail("listen");
	while ((peer = accept(listener, NULL, NULL)) >= 0) {
		while (read(peer, buffer, sizeof(buffer)) > 0)
			;
		close(peer);
	}
	return fail("accept");
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static int connected(const char *address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	return connect(s, (struct sockaddr *)&to, sizeof(to)) ? -1 : s;
}

static int connect_to(const char *address, const char *port, long long count)
{
	struct linger at_once = { .l_onoff = 1 };
	long long start = now();

	while (count-- > 0) {
		int s = connected(address, port);
		if (s < 0)
			return fail("connect");
		setsockopt(s, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(s);
	}
	printf("%lld\n", now() - start);
	return 0;
}

static int send_to(const char *address, const char *port, long long left)
{
	int s = connected(address, port);
	long long start;

	if (s < 0)
		return fail("connect");
	start = now();
	while (left > 0) {
		ssize_t n = write(s, buffer, left < (long long)sizeof(buffer) ? left : (long long)sizeof(buffer));
		if (n < 0)
			return fail("write");
		left -= n;
	}
	shutdown(s, SHUT_WR);
	while (read(s, buffer, sizeof(buffer)) > 0)
		;
	printf("%lld\n", now() - start);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "take"))
		return take(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "send"))
		return send_to(argv[2], argv[3], atoll(argv[4]));
	if (argc == 5 && !strcmp(argv[1], "connect"))
		return connect_to(argv[2], argv[3], atoll(argv[4]));
	fprintf(stderr, "usage: stream take PORT | send ADDR PORT BYTES | connect ADDR PORT COUNT\n");
	return 2;
}
