/*
 * A PKCS#11 library for tests: SoftHSM, with faults that a test asks for by files in the directory $FAULTY_DIRECTORY.
 *
 *   crash.FUNCTION       dies at the Nth call, N being in the file, before it is carried out
 *   crash-after.FUNCTION dies at the Nth call, after it was carried out
 *   error.FUNCTION       answers the number in the file, as long as it is there
 *   hang.FUNCTION        does not answer, as long as it is there
 *   locks                locks a PIN after three wrong ones in a row, and says so in the token's flags, as smart cards do
 *
 * Each call is noted in the file calls.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ul;

/* CK_FUNCTION_LIST: a version, and 68 functions in the order of the standard. */
struct list {
	unsigned char version[2];
	void *functions[68];
};

static struct list *real, ours;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

static const char *in(char *path, size_t size, const char *fault, const char *function)
{
	snprintf(path, size, "%s/%s%s%s", getenv("FAULTY_DIRECTORY"), fault, function[0] ? "." : "", function);
	return path;
}

static long number(const char *path)
{
	char text[32] = "";
	int f = open(path, O_RDONLY);
	if (f < 0)
		return -1;
	(void)!read(f, text, sizeof text - 1);
	close(f);
	return strtol(text, NULL, 0);
}

static void put(const char *path, long n)
{
	char text[32];
	int f = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (f < 0)
		return;
	(void)!write(f, text, (size_t)snprintf(text, sizeof text, "%ld", n));
	close(f);
}

static void die_if_asked(const char *fault, const char *function)
{
	char path[4096];
	in(path, sizeof path, fault, function);
	pthread_mutex_lock(&counting);
	long n = number(path);
	if (n > 1)
		put(path, n - 1);
	else if (n >= 0) {
		unlink(path);
		raise(SIGKILL); /* as sudden as a crash, and without a core */
	}
	pthread_mutex_unlock(&counting);
}

static ul before(const char *function)
{
	char path[4096], line[64];
	int f = open(in(path, sizeof path, "calls", ""), O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (f >= 0) {
		(void)!write(f, line, (size_t)snprintf(line, sizeof line, "%s\n", function));
		close(f);
	}
	die_if_asked("crash", function);
	while (access(in(path, sizeof path, "hang", function), F_OK) == 0)
		usleep(5000);
	long rv = number(in(path, sizeof path, "error", function));
	return rv > 0 ? (ul)rv : 0;
}

#define WRAP(index, name, parameters, arguments) \
	static ul name parameters \
	{ \
		ul rv = before(#name); \
		if (rv != 0) \
			return rv; \
		rv = ((ul(*) parameters)real->functions[index])arguments; \
		die_if_asked("crash-after", #name); \
		return rv; \
	}

WRAP(0, C_Initialize, (ul a), (a))
WRAP(2, C_GetInfo, (ul a), (a))
WRAP(4, C_GetSlotList, (ul a, ul b, ul c), (a, b, c))
WRAP(9, C_InitToken, (ul a, ul b, ul c, ul d), (a, b, c, d))
WRAP(10, C_InitPIN, (ul a, ul b, ul c), (a, b, c))
WRAP(12, C_OpenSession, (ul a, ul b, ul c, ul d, ul e), (a, b, c, d, e))
WRAP(19, C_Logout, (ul a), (a))
WRAP(20, C_CreateObject, (ul a, ul b, ul c, ul d), (a, b, c, d))
WRAP(22, C_DestroyObject, (ul a, ul b), (a, b))
WRAP(24, C_GetAttributeValue, (ul a, ul b, ul c, ul d), (a, b, c, d))
WRAP(26, C_FindObjectsInit, (ul a, ul b, ul c), (a, b, c))
WRAP(29, C_EncryptInit, (ul a, ul b, ul c), (a, b, c))
WRAP(30, C_Encrypt, (ul a, ul b, ul c, ul d, ul e), (a, b, c, d, e))
WRAP(33, C_DecryptInit, (ul a, ul b, ul c), (a, b, c))
WRAP(34, C_Decrypt, (ul a, ul b, ul c, ul d, ul e), (a, b, c, d, e))
WRAP(42, C_SignInit, (ul a, ul b, ul c), (a, b, c))
WRAP(43, C_Sign, (ul a, ul b, ul c, ul d, ul e), (a, b, c, d, e))
WRAP(58, C_GenerateKey, (ul a, ul b, ul c, ul d, ul e), (a, b, c, d, e))
WRAP(59, C_GenerateKeyPair, (ul a, ul b, ul c, ul d, ul e, ul f, ul g, ul h), (a, b, c, d, e, f, g, h))
WRAP(60, C_WrapKey, (ul a, ul b, ul c, ul d, ul e, ul f), (a, b, c, d, e, f))
WRAP(61, C_UnwrapKey, (ul a, ul b, ul c, ul d, ul e, ul f, ul g, ul h), (a, b, c, d, e, f, g, h))
WRAP(64, C_GenerateRandom, (ul a, ul b, ul c), (a, b, c))

static int locks(void)
{
	char path[4096];
	return access(in(path, sizeof path, "locks", ""), F_OK) == 0;
}

static const char *wrong(char *path, size_t size, ul who) { return in(path, size, who == 0 ? "wrong-officer" : "wrong-user", ""); }

/* The official names of whoever logs in are CKU_SO, 0, and CKU_USER, 1. */
static ul C_Login(ul session, ul who, ul pin, ul length)
{
	char path[4096];
	ul rv = before(who == 0 ? "C_Login-officer" : "C_Login-user");
	if (rv != 0)
		return rv;
	wrong(path, sizeof path, who);
	if (locks() && number(path) >= 3)
		return 0xA4; /* CKR_PIN_LOCKED */
	rv = ((ul(*)(ul, ul, ul, ul))real->functions[18])(session, who, pin, length);
	if (rv == 0xA0) /* CKR_PIN_INCORRECT */
		put(path, (number(path) < 0 ? 0 : number(path)) + 1);
	if (rv == 0)
		unlink(path);
	die_if_asked("crash-after", who == 0 ? "C_Login-officer" : "C_Login-user");
	return rv;
}

static ul C_GetTokenInfo(ul slot, ul info)
{
	ul rv = before("C_GetTokenInfo");
	if (rv == 0)
		rv = ((ul(*)(ul, ul))real->functions[6])(slot, info);
	if (rv != 0 || !locks())
		return rv;
	ul *flags = (ul *)(info + 96); /* after label, manufacturer, model and serial number */
	for (ul who = 0; who < 2; who++) {
		char path[4096];
		long n = number(wrong(path, sizeof path, who));
		ul low = who == 0 ? 0x100000 : 0x10000; /* then CKF_..._FINAL_TRY and CKF_..._LOCKED */
		*flags &= ~(low * 7);
		if (n >= 1 && n < 3)
			*flags |= low;
		if (n == 2)
			*flags |= low * 2;
		if (n >= 3)
			*flags |= low * 4;
	}
	return 0;
}

ul C_GetFunctionList(struct list **out)
{
	void *library = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return 5; /* CKR_GENERAL_ERROR */
	ul (*get)(struct list **) = (ul(*)(struct list **))dlsym(library, "C_GetFunctionList");
	if (get == NULL || get(&real) != 0)
		return 5;
	ours = *real;
#define TAKE(index, name) ours.functions[index] = (void *)name
	TAKE(0, C_Initialize); TAKE(2, C_GetInfo); TAKE(4, C_GetSlotList); TAKE(6, C_GetTokenInfo); TAKE(9, C_InitToken);
	TAKE(10, C_InitPIN); TAKE(12, C_OpenSession); TAKE(18, C_Login); TAKE(19, C_Logout); TAKE(20, C_CreateObject); TAKE(22, C_DestroyObject);
	TAKE(24, C_GetAttributeValue); TAKE(26, C_FindObjectsInit); TAKE(30, C_Encrypt); TAKE(34, C_Decrypt); TAKE(42, C_SignInit);
	TAKE(43, C_Sign); TAKE(58, C_GenerateKey); TAKE(59, C_GenerateKeyPair); TAKE(60, C_WrapKey); TAKE(61, C_UnwrapKey);
	TAKE(64, C_GenerateRandom); TAKE(29, C_EncryptInit); TAKE(33, C_DecryptInit);
	*out = &ours;
	return 0;
}
