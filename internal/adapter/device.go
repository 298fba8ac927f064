package adapter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// frame is one on its way: published, and to be answered behind those before it.
type frame struct {
	token  Token
	answer []byte
}

// device is the life of one connection.
func (s *Server) device(ctx context.Context, nc net.Conn) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	unhook := context.AfterFunc(ctx, func() { _ = nc.SetReadDeadline(time.Unix(1, 0)) }) // wakes the reader; answers still go
	defer unhook()
	frames := make(chan frame, s.cfg.Waiting)
	var answering sync.WaitGroup
	answering.Go(func() {
		if err := s.answer(nc, frames); err != nil {
			stop(err)
			for range frames { // whoever reads may be waiting for room
			}
		}
	})
	err := s.read(ctx, nc, frames)
	close(frames)
	answering.Wait() // what is published is answered, also at the end
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	_ = nc.Close()
	if err != nil {
		s.cfg.Logger.Info("connection closed", "peer", nc.RemoteAddr().String(), "why", err)
	}
}

// read takes frames until the connection ends, is silent for too long, or ctx ends.
func (s *Server) read(ctx context.Context, nc net.Conn, frames chan<- frame) error {
	var rest []byte
	answer := func([]byte, time.Time) []byte { return nil }
	if s.cfg.Protocol.Answers != nil {
		answer = s.cfg.Protocol.Answers()
	}
	room := make([]byte, 4096)
	defer func() { s.held.Add(-int64(len(rest))) }()
	for {
		if err := nc.SetReadDeadline(time.Now().Add(s.cfg.Idle)); err != nil {
			return err
		}
		if ctx.Err() != nil { // asked before the deadline was set anew
			return nil
		}
		n, err := nc.Read(room)
		if n > 0 {
			s.m.bytes.Add(float64(n))
			whole, left := s.cfg.Protocol.Split(append(rest, room[:n]...))
			for _, f := range whole {
				if err := s.publish(ctx, f, answer, frames); err != nil {
					return err
				}
			}
			if len(left) > s.cfg.Protocol.Most {
				s.m.refused.WithLabelValues("size").Inc()
				left = nil
			}
			if held := s.held.Add(int64(len(left) - len(rest))); held > s.cfg.Room && len(left) > 0 {
				s.held.Add(-int64(len(left)))
				rest = nil
				s.m.refused.WithLabelValues("memory").Inc()
				return fmt.Errorf("%d bytes of all devices wait to become frames, there is room for %d", held, s.cfg.Room)
			}
			rest = append([]byte(nil), left...)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.m.refused.WithLabelValues("idle").Inc()
			return fmt.Errorf("silent for %s", s.cfg.Idle)
		default:
			if len(rest) > 0 {
				s.m.refused.WithLabelValues("truncated").Inc()
			}
			return nil // the device has gone
		}
	}
}

// publish hands one frame over and puts its answer into the queue.
func (s *Server) publish(ctx context.Context, f []byte, answer func([]byte, time.Time) []byte, frames chan<- frame) error {
	topic := s.cfg.Topic
	if s.cfg.Protocol.Serial != nil && strings.Contains(topic, "{serial}") {
		topic = strings.ReplaceAll(topic, "{serial}", level(s.cfg.Protocol.Serial(f)))
	}
	payload := append([]byte(nil), f...) // the client keeps it until PUBACK
	token, err := s.cfg.Publish(ctx, topic, payload)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	s.m.frames.Inc()
	frames <- frame{token, answer(payload, s.cfg.Clock())} // full: the socket is not read until the broker has caught up
	return nil
}

// level makes a serial number a level of a topic; "-" says that it fits none.
func level(serial string) string {
	if serial == "" || len(serial) > 64 || strings.ContainsAny(serial, "/+# \x00") || strings.HasPrefix(serial, "$") {
		return "-"
	}
	return serial
}

// answer sends the answers in the order of the frames, each when its frame is acknowledged.
func (s *Server) answer(nc net.Conn, frames <-chan frame) error {
	timer := time.NewTimer(s.cfg.AckTimeout)
	defer timer.Stop()
	for f := range frames {
		timer.Reset(s.cfg.AckTimeout)
		select {
		case <-f.token.Done():
		case <-timer.C:
			s.m.refused.WithLabelValues("unacknowledged").Inc()
			return fmt.Errorf("the broker has not acknowledged a frame for %s; the device will send it again", s.cfg.AckTimeout)
		}
		if err := f.token.Error(); err != nil {
			s.m.refused.WithLabelValues("unacknowledged").Inc()
			return fmt.Errorf("the broker has not taken a frame: %w", err)
		}
		if len(f.answer) == 0 {
			continue
		}
		if err := nc.SetWriteDeadline(time.Now().Add(s.cfg.Unread)); err != nil {
			return err
		}
		if _, err := nc.Write(f.answer); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) { // a device that does not read is as good as gone
				s.m.refused.WithLabelValues("unread").Inc()
			}
			return fmt.Errorf("answer: %w", err)
		}
		s.m.answers.Inc()
	}
	return nil
}
