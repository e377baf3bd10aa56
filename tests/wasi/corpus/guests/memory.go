// Grows the heap, which the usual adapter of preview 1 cannot carry.
package main

import (
	"fmt"
	"runtime"
)

type node struct {
	left, right *node
	payload     [16]uint64
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func deep(n int) int {
	var pad [64]int
	pad[n%64] = n
	if n == 0 {
		return 0
	}
	return deep(n-1) + pad[n%64] - n + 1
}

func main() {
	kept := tree(17)
	fmt.Println("nodes", kept.count())
	for range 20 {
		fmt.Print(tree(12).count(), " ")
	}
	fmt.Println()
	large := make([]byte, 200<<20)
	for at := 0; at < len(large); at += 4096 {
		large[at] = byte(at >> 12)
	}
	sum := 0
	for _, value := range large {
		sum += int(value)
	}
	fmt.Println("sum", sum)
	// The stack of a goroutine grows by copying. Calls are calls of WebAssembly, too, so that
	// their depth has the engine's limit.
	fmt.Println("depth", deep(5_000))
	// On a busy machine, no collection may have come to its end so far.
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println(stats.NumGC > 0, stats.HeapSys > 200<<20, kept.count())
}
