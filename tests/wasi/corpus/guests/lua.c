/* lua [SCRIPT [ARGS]...]: runs a script with the standard libraries; without one, or with `-`, from
 * standard input. Exit code 1 after an error. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

static int add_traceback(lua_State *state) {
  luaL_traceback(state, state, lua_tostring(state, 1), 1);
  return 1;
}

int main(int argc, char **argv) {
  lua_State *state = luaL_newstate();
  if (!state) return 1;
  luaL_openlibs(state);
  lua_createtable(state, argc, 0);
  for (int i = 1; i < argc; i++) {
    lua_pushstring(state, argv[i]);
    lua_rawseti(state, -2, i - 1);
  }
  lua_setglobal(state, "arg");
  lua_pushcfunction(state, add_traceback);
  const char *script = argc > 1 && strcmp(argv[1], "-") ? argv[1] : NULL;
  int code = luaL_loadfile(state, script);
  if (code == LUA_OK) code = lua_pcall(state, 0, 0, 1);
  if (code != LUA_OK) fprintf(stderr, "lua: %s\n", lua_tostring(state, -1));
  lua_close(state);
  return code != LUA_OK;
}
