// Prints arguments, environment and standard input, and ends with the exit code of the first
// argument.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strconv"
)

func main() {
	fmt.Println("hello from", len(os.Args)-1, "arguments:", os.Args[1:])
	env := os.Environ()
	sort.Strings(env)
	fmt.Println(env)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Printf("<%s>\n", lines.Text())
	}
	code, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stderr, "leaving")
	os.Exit(code)
}
