// A C program with what debuggers stumble over: inlining in two levels, recursion, a leaf, a large frame, calls through pointers.
import { ProgramSource } from '#tools/debugger/source.ts';
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';

export const debugGuest = `\
#include <stdio.h>
#include <string.h>
static inline __attribute__((always_inline)) int square(int x) { return x * x; }
static inline __attribute__((always_inline)) int twice(int x)
{
  int y = square(x);
  return y + square(x + 1);
}
__attribute__((noinline)) int sum(int n)
{
  int s = 0;
  for (int i = 0; i < n; i++)
    s += twice(i);
  return s;
}
__attribute__((noinline)) static long fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
struct tree { struct tree *left, *right; int value; };
volatile int leaves;
__attribute__((noinline)) static int leaf(int value)
{
  for (int i = 0; i < 20; i++)
    leaves += value;
  return value;
}
__attribute__((noinline)) static int walk(struct tree *t)
{
  if (!t)
    return 0;
  int below = walk(t->left);
  return below + leaf(t->value) + walk(t->right);
}
__attribute__((noinline)) static int large(int (*f)(struct tree *), struct tree *t)
{
  char room[6000];
  memset(room, 1, sizeof room);
  int n = f(t);
  return n + room[n];
}
int main(int argc, char **argv)
{
  char text[64];
  struct tree a = { 0, 0, 1 }, b = { 0, 0, 2 }, c = { &a, &b, 3 };
  snprintf(text, sizeof text, "%d %ld %d", sum(argc + 9), fib(10), large(walk, &c));
  puts(text);
  return strlen(text) > 3 ? 0 : 1;
}
`;
/** The line of the guest's source on which `words` stand. */
export const lineOf = (words: string): number => debugGuest.slice(0, debugGuest.indexOf(words)).split('\n').length;
export const sourceOf = (path: string): ProgramSource =>
  new ProgramSource(new Uint8Array(readFileSync(path)), (bytes, lenBytes) => new Uint8Array(inflateSync(bytes, { maxOutputLength: lenBytes })));
