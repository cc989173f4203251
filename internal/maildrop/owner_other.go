//go:build !unix

package maildrop

import "io/fs"

const noWait = 0

// ownerOf is unknown here, so that no file is ever taken.
func ownerOf(fs.FileInfo) int { return -1 }

func linksOf(fs.FileInfo) int { return 0 }
