// Goroutines, channels, timers, select, mutexes, maps and the garbage collector.
package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func sieve(limit int) int {
	numbers := make(chan int)
	go func(out chan int) {
		for n := 2; ; n++ {
			out <- n
		}
	}(numbers)
	last := 0
	for i := 0; i < limit; i++ {
		prime := <-numbers
		last = prime
		filtered := make(chan int)
		go func(in, out chan int, prime int) {
			for n := range in {
				if n%prime != 0 {
					out <- n
				}
			}
		}(numbers, filtered, prime)
		numbers = filtered
	}
	return last
}

func main() {
	fmt.Println("100th prime:", sieve(100))

	var group sync.WaitGroup
	var lock sync.Mutex
	var count atomic.Int64
	squares := map[int]int{}
	for n := range 1000 {
		group.Go(func() {
			runtime.Gosched()
			lock.Lock()
			defer lock.Unlock()
			squares[n] = n * n
			count.Add(1)
		})
	}
	group.Wait()
	fmt.Println(count.Load(), len(squares), squares[999])

	start := time.Now()
	order := make(chan int, 3)
	for _, n := range []int{30, 10, 20} {
		go func() {
			time.Sleep(time.Duration(n) * time.Millisecond)
			order <- n
		}()
	}
	fmt.Println(<-order, <-order, <-order, time.Since(start) >= 30*time.Millisecond)

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	select {
	case <-ctx.Done():
		fmt.Println(ctx.Err())
	case <-time.After(time.Minute):
		fmt.Println("too late")
	}

	defer func() {
		fmt.Println("recovered:", recover())
		runtime.GC()
		var none []int
		fmt.Println(none[len(squares)])
	}()
	var null *struct{ value int }
	fmt.Println(null.value)
}
