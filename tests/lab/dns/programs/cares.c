/* cares NAME: the first IPv4 address, by c-ares, which reads resolv.conf itself and never asks NSS. */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/select.h>

static int status = ARES_ENOTFOUND;

static void found(void *unused, int answer, int timeouts, struct hostent *host)
{
	char text[INET_ADDRSTRLEN];

	(void)unused;
	(void)timeouts;
	status = answer;
	if (answer == ARES_SUCCESS)
		puts(inet_ntop(AF_INET, host->h_addr_list[0], text, sizeof text));
	else
		fprintf(stderr, "%s\n", ares_strerror(answer));
}

int main(int argc, char **argv)
{
	ares_channel channel;
	struct timeval time, *wait;
	fd_set readers, writers;
	int count;

	if (argc != 2 || ares_library_init(ARES_LIB_INIT_ALL) || ares_init(&channel))
		return 2;
	ares_gethostbyname(channel, argv[1], AF_INET, found, NULL);
	for (;;) {
		FD_ZERO(&readers);
		FD_ZERO(&writers);
		count = ares_fds(channel, &readers, &writers);
		if (!count)
			break;
		wait = ares_timeout(channel, NULL, &time);
		select(count, &readers, &writers, NULL, wait);
		ares_process(channel, &readers, &writers);
	}
	ares_destroy(channel);
	return status != ARES_SUCCESS;
}
