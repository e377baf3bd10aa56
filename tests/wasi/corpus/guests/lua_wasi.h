/* Functions of the C standard that wasi-libc leaves out, for Lua's libraries `io` and `os`: each
 * reports that the system cannot do it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define tmpfile() (errno = ENOTSUP, (FILE *)NULL)
#define system(command) ((command) ? (errno = ENOTSUP, -1) : 0)
#define LUA_TMPNAMBUFSIZE 32
#define lua_tmpnam(buffer, failed) ((void)(buffer), (failed) = 1)
