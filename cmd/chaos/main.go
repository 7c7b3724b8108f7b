// Command chaos finds concurrency bugs in stacks that hand out sandboxes over an API.
package main

import (
	"os"

	"chaos/cmd/internal/cli"
	"chaos/stack/embedded/child"
)

func main() {
	child.Dispatch()
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
