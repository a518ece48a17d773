/* getaddrinfo NAME: the first IPv4 address, by whatever C library this is linked with. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	char text[INET_ADDRSTRLEN];
	int error = argc == 2 ? getaddrinfo(argv[1], NULL, &hints, &found) : EAI_NONAME;

	if (error) {
		fprintf(stderr, "%s\n", gai_strerror(error));
		return 1;
	}
	puts(inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, text, sizeof text));
	return 0;
}
