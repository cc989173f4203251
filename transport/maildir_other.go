//go:build !unix

package transport

import "os"

func inherit(*os.File, *os.Root) error { return nil }
