package torture

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// proxy stands between two processes on TCP, or on unix sockets, and is the bad network: it cuts, delays, stalls, and
// swallows what comes back.
type proxy struct {
	name   string
	ln     net.Listener
	target string // host:port, or a path

	cutAfter atomic.Int64 // bytes that may still pass upstream before everything is cut; 0 = no such fault
	delay    atomic.Int64 // ns that each piece waits, either way
	stall    atomic.Bool  // nothing passes upstream
	swallow  atomic.Bool  // answers are read and thrown away
	refuse   atomic.Bool  // new connections are cut at once

	mu    sync.Mutex // guards open
	open  map[net.Conn]struct{}
	going sync.WaitGroup
}

// newProxy listens on a port of its own, in front of target.
func newProxy(name, target string) (*proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return serveProxy(name, ln, target), nil
}

// newSocketProxy listens on a unix socket, in front of another.
func newSocketProxy(name, path, target string) (*proxy, error) {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return serveProxy(name, ln, target), nil
}

func serveProxy(name string, ln net.Listener, target string) *proxy {
	p := &proxy{name: name, ln: ln, target: target, open: map[net.Conn]struct{}{}}
	p.going.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.going.Go(func() { p.serve(c) })
		}
	})
	return p
}

func (p *proxy) addr() string { return p.ln.Addr().String() }

// serve joins a connection with one to the target.
func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	if p.refuse.Load() {
		return
	}
	up, err := net.DialTimeout(p.ln.Addr().Network(), p.target, time.Second)
	if err != nil {
		return
	}
	defer up.Close()
	p.keep(c, up)
	defer p.drop(c, up)
	var both sync.WaitGroup
	both.Go(func() { p.pass(up, c, true) })
	both.Go(func() { p.pass(c, up, false) })
	both.Wait()
}

// pass copies until either side is gone, with what the faults of the moment make of it.
func (p *proxy) pass(to, from net.Conn, upstream bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.forward(to, buf[:n], upstream) {
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) forward(to io.Writer, b []byte, upstream bool) bool {
	if d := p.delay.Load(); d > 0 {
		time.Sleep(time.Duration(d)) // the fault itself
	}
	for upstream && p.stall.Load() {
		time.Sleep(5 * time.Millisecond)
	}
	if !upstream && p.swallow.Load() {
		return true
	}
	if left := p.cutAfter.Load(); upstream && left > 0 {
		if int64(len(b)) >= left {
			_, _ = to.Write(b[:left]) // a packet in part
			p.cutAfter.Store(0)
			p.end(false)
			return false
		}
		p.cutAfter.Add(-int64(len(b)))
	}
	_, err := to.Write(b)
	return err == nil
}

// cut ends all connections, with what is in them.
func (p *proxy) cut() { p.end(true) }

// end closes all connections; a reset takes with it what has not been read yet.
func (p *proxy) end(reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		if t, ok := c.(*net.TCPConn); ok && reset {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
}

// heal ends every fault.
func (p *proxy) heal() {
	p.cutAfter.Store(0)
	p.delay.Store(0)
	p.stall.Store(false)
	p.swallow.Store(false)
	p.refuse.Store(false)
}

func (p *proxy) keep(list ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range list {
		p.open[c] = struct{}{}
	}
}

func (p *proxy) drop(list ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range list {
		delete(p.open, c)
	}
}

func (p *proxy) close() {
	p.heal()
	_ = p.ln.Close() // nothing is left to be told
	p.cut()
	p.going.Wait()
}
