package spool

import (
	"os"
	"runtime"
	"testing"
)

// Every other test of durability stands on a disk in memory, and kill -9 loses nothing that was written: this one alone
// notices a Sync that asks the system for nothing. Linux refuses to sync what is no file.
func TestSyncAsksTheSystem(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("not run: what the null device says to a sync is known of Linux; run it there")
	}
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := (diskFile{f}).Sync(); err == nil {
		t.Error("the null device was synced, it says")
	}
}
