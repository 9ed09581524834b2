// Conditions over named fields: `order < 4 && vma.name == "heap"`. Here: tokens, the parser, the check of names and types, evaluation. Not here: which
// fields there are (fields.ts). Whole numbers of any size, texts, and answers of comparisons, which are neither.
//
// & and | bind tighter than comparisons, as in Python and unlike C, so that `flags & 2 == 0` asks for the bit. Comparisons do not chain.
// What is checked before a run cannot go wrong in the middle of it, but for a division by zero and memory that is not there.
import { UserError } from '#base';
import { didYouMean } from '../suggest.ts';

export type FieldType = 'number' | 'text' | 'flag';
export type Value = bigint | string | boolean;
/** What an expression may name. */
export interface Scope {
  /** undefined: no such field. */
  typeOf(path: string): FieldType | undefined;
  /** For "did you mean". */
  readonly names: readonly string[];
}
/** What the names stand for at one moment. */
export interface Facts {
  /** A field of the scope. Numbers are whole. */
  field(path: string): Value | number;
  /** Memory of the program, little-endian, signed if asked; null: not mapped. */
  memory(address: bigint, lenBytes: number, isSigned: boolean): bigint | null;
}
type BinaryOperator = '||' | '&&' | '==' | '!=' | '<' | '<=' | '>' | '>=' | '|' | '&' | '<<' | '>>' | '+' | '-' | '*' | '/' | '%';
/** `at`: where its operator or first character stands in the text. */
type Node =
  | { readonly kind: 'number'; readonly at: number; readonly value: bigint }
  | { readonly kind: 'text'; readonly at: number; readonly value: string }
  | { readonly kind: 'field'; readonly at: number; readonly path: string }
  | { readonly kind: 'memory'; readonly at: number; readonly name: string; readonly address: Node }
  | { readonly kind: 'unary'; readonly at: number; readonly operator: '!' | '-'; readonly operand: Node }
  | { readonly kind: 'binary'; readonly at: number; readonly operator: BinaryOperator; readonly left: Node; readonly right: Node };

/** A checked expression. */
export interface Expression {
  readonly text: string;
  readonly type: FieldType;
  /** Fields that it names. */
  readonly fields: readonly string[];
  /** @throws UserError: division by zero, memory that is not mapped, a shift by more than 64 */
  evaluate(facts: Facts): Value;
}

const MAX_LENGTH = 2000;
const MAX_DEPTH = 64;
/** From loosest to tightest. */
const levels: readonly (readonly BinaryOperator[])[] = [['||'], ['&&'], ['==', '!=', '<=', '>=', '<', '>'], ['|'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '%']];
const COMPARISONS = 2;
const units: Readonly<Record<string, bigint>> = { '': 1n, k: 1024n, m: 1024n ** 2n, g: 1024n ** 3n };
/** Reads of guest memory: u8(sp), i32(a0 + 4). */
export const memoryReads: Readonly<Record<string, { readonly lenBytes: number; readonly isSigned: boolean }>> = Object.fromEntries(
  [1, 2, 4, 8].flatMap((lenBytes) => [[`u${8 * lenBytes}`, { lenBytes, isSigned: false }], [`i${8 * lenBytes}`, { lenBytes, isSigned: true }]]));

/** An error with the place under the text. */
function wrong(text: string, at: number, problem: string): UserError {
  const shown = text.replace(/[^\x20-\x7e]/g, '?');
  return new UserError(`${problem}\n  ${shown}\n  ${' '.repeat(Math.min(at, shown.length))}^`);
}

// Tokens.

interface Token { readonly kind: 'number' | 'text' | 'name' | 'operator' | 'end'; readonly at: number; readonly text: string; readonly value?: bigint }

const NUMBER = /0x[0-9a-f]+|[0-9]+/iy;
const NAME = /[$A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*/y;
const OPERATOR = /\|\||&&|==|!=|<=|>=|<<|>>|[-+*/%&|<>!()]/y;

function tokensOf(text: string): Token[] {
  if (text.length > MAX_LENGTH) throw new UserError(`the expression has ${text.length} characters. Write at most ${MAX_LENGTH}.`);
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0] ?? null;
  };
  for (;;) {
    while (text[at] === ' ' || text[at] === '\t') at++;
    if (at >= text.length) break;
    const start = at;
    const number = match(NUMBER);
    if (number !== null) {
      at += number.length;
      const unit = units[(text[at] ?? '').toLowerCase()];
      if (unit !== undefined && text[at] !== undefined) at++;
      if (/\w/.test(text[at] ?? '')) throw wrong(text, at, 'a number ends here. Write it as 4096, 0x1000 or 4K (K, M, G: times 1024).');
      tokens.push({ kind: 'number', at: start, text: text.slice(start, at), value: BigInt(number) * (unit ?? 1n) });
      continue;
    }
    if (text[at] === '"' || text[at] === '\'') {
      const end = text.indexOf(text[at]!, at + 1);
      if (end < 0) throw wrong(text, at, `the text that begins here does not end. Write ${text[at]} after it.`);
      tokens.push({ kind: 'text', at: start, text: text.slice(at + 1, end) });
      at = end + 1;
      continue;
    }
    const name = match(NAME);
    const operator = name ?? match(OPERATOR);
    if (operator === null) throw wrong(text, at, text[at] === '=' ? 'a single =. Write == to compare.' : `${JSON.stringify(text[at])} means nothing here. Write names, numbers, "texts" and the operators == != < <= > >= && || ! + - * / % & | << >>.`);
    at += operator.length;
    tokens.push({ kind: name === null ? 'operator' : 'name', at: start, text: operator });
  }
  return [...tokens, { kind: 'end', at: text.length, text: 'the end' }];
}

// The parser: one function a level, by precedence climbing.

class Parser {
  private readonly text: string;
  private readonly tokens: readonly Token[];
  private next = 0;
  private depth = 0;

  constructor(text: string) {
    this.text = text;
    this.tokens = tokensOf(text);
  }
  whole(): Node {
    const node = this.level(0);
    const rest = this.token;
    if (rest.kind !== 'end') throw wrong(this.text, rest.at, rest.text === ')' ? 'this ) closes nothing.' : 'an operator is missing before this.');
    return node;
  }
  private get token(): Token {
    return this.tokens[this.next]!;
  }
  private level(level: number): Node {
    const operators = levels[level];
    if (operators === undefined) return this.unary();
    let left = this.level(level + 1);
    for (let count = 0; ; count++) {
      const { kind, text, at } = this.token;
      const operator = operators.find((o) => kind === 'operator' && o === text);
      if (operator === undefined) return left;
      if (level === COMPARISONS && count > 0) throw wrong(this.text, at, 'comparisons do not chain. Write a < b && b < c.');
      if (count > MAX_LENGTH) throw wrong(this.text, at, 'too long an expression.');
      this.next++;
      left = { kind: 'binary', at, operator, left, right: this.level(level + 1) };
    }
  }
  private unary(): Node {
    const { kind, text, at } = this.token;
    if (kind !== 'operator' || (text !== '!' && text !== '-')) return this.primary();
    this.next++;
    this.enter(at);
    const operand = this.unary();
    this.depth--;
    return { kind: 'unary', at, operator: text, operand };
  }
  private primary(): Node {
    const token = this.token;
    this.next++;
    const { at } = token;
    switch (token.kind) {
      case 'number': return { kind: 'number', at, value: token.value! };
      case 'text': return { kind: 'text', at, value: token.text };
      case 'name': {
        const reads = this.token.kind === 'operator' && this.token.text === '(';
        return reads ? { kind: 'memory', at, name: token.text, address: this.primary() } : { kind: 'field', at, path: token.text.replace(/^\$/, '') };
      }
      case 'operator':
        if (token.text !== '(') break;
        return this.parenthesis(at);
      case 'end': break;
    }
    throw wrong(this.text, at, token.kind === 'end' ? 'something is missing at the end: a name, a number or a "text".' : 'a name, a number or a "text" is missing before this.');
  }
  private parenthesis(at: number): Node {
    this.enter(at);
    const inner = this.level(0);
    this.depth--;
    if (this.token.text !== ')' || this.token.kind !== 'operator') throw wrong(this.text, at, 'this ( is not closed.');
    this.next++;
    return inner;
  }
  private enter(at: number): void {
    if (++this.depth > MAX_DEPTH) throw wrong(this.text, at, `nested more than ${MAX_DEPTH} deep. Write it flatter.`);
  }
}

// Types, before anything runs.

const article: Readonly<Record<FieldType, string>> = { number: 'a number', text: 'a text', flag: 'the answer of a comparison' };

function typeOf(text: string, node: Node, scope: Scope, fields: Set<string>): FieldType {
  const need = (inner: Node, allowed: readonly FieldType[], operator: string): FieldType => {
    const type = typeOf(text, inner, scope, fields);
    if (!allowed.includes(type)) throw wrong(text, inner.at, `${operator} wants ${allowed.map((t) => article[t]).join(' or ')}, and this is ${article[type]}.${type === 'text' && allowed.includes('flag') ? ' Write == with it.' : ''}`);
    return type;
  };
  switch (node.kind) {
    case 'number': return 'number';
    case 'text': return 'text';
    case 'field': {
      const type = scope.typeOf(node.path);
      if (type === undefined) throw wrong(text, node.at, `${node.path}: there is no such field here.${didYouMean(node.path, scope.names)}`);
      fields.add(node.path);
      return type;
    }
    case 'memory':
      if (memoryReads[node.name] === undefined) throw wrong(text, node.at, `${node.name}(...): not a read of memory. Write ${Object.keys(memoryReads).join(', ')} with an address, as in u32(sp + 8).`);
      need(node.address, ['number'], node.name);
      return 'number';
    case 'unary':
      need(node.operand, node.operator === '!' ? ['flag', 'number'] : ['number'], node.operator);
      return node.operator === '!' ? 'flag' : 'number';
    case 'binary': {
      const { operator, left, right } = node;
      switch (operator) {
        case '||': case '&&':
          need(left, ['flag', 'number'], operator);
          need(right, ['flag', 'number'], operator);
          return 'flag';
        case '==': case '!=': {
          const one = typeOf(text, left, scope, fields);
          const other = typeOf(text, right, scope, fields);
          if (one !== other) throw wrong(text, node.at, `${operator} compares ${article[one]} with ${article[other]}.${one === 'text' || other === 'text' ? ' Write texts in quotes, numbers without.' : ''}`);
          return 'flag';
        }
        case '<': case '<=': case '>': case '>=':
          need(left, ['number'], operator);
          need(right, ['number'], operator);
          return 'flag';
        default:
          need(left, ['number'], operator);
          need(right, ['number'], operator);
          return 'number';
      }
    }
  }
}

// Evaluation.

const asValue = (value: Value | number): Value => (typeof value === 'number' ? BigInt(value) : value);
const holds = (value: Value): boolean => value !== false && value !== 0n;
/** A VMA is called [heap] in /proc/PID/maps and heap by people: both are meant. */
const bare = (text: string): string => (text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text);
const same = (a: Value, b: Value): boolean => (typeof a === 'string' && typeof b === 'string' ? bare(a) === bare(b) : a === b);
const MAX_SHIFT = 64n;

function evaluate(text: string, node: Node, facts: Facts): Value {
  switch (node.kind) {
    case 'number': case 'text': return node.value;
    case 'field': return asValue(facts.field(node.path));
    case 'memory': {
      const address = evaluate(text, node.address, facts) as bigint;
      const { lenBytes, isSigned } = memoryReads[node.name]!;
      const value = facts.memory(address, lenBytes, isSigned);
      if (value === null) throw wrong(text, node.at, `nothing is mapped at 0x${BigInt.asUintN(64, address).toString(16)}.`);
      return value;
    }
    case 'unary': {
      const operand = evaluate(text, node.operand, facts);
      return node.operator === '!' ? !holds(operand) : -(operand as bigint);
    }
    case 'binary': {
      const left = evaluate(text, node.left, facts);
      if (node.operator === '&&') return holds(left) && holds(evaluate(text, node.right, facts));
      if (node.operator === '||') return holds(left) || holds(evaluate(text, node.right, facts));
      const right = evaluate(text, node.right, facts);
      if (node.operator === '==') return same(left, right);
      if (node.operator === '!=') return !same(left, right);
      return calculate(text, node.at, node.operator, left as bigint, right as bigint);
    }
  }
}
function calculate(text: string, at: number, operator: BinaryOperator, a: bigint, b: bigint): Value {
  switch (operator) {
    case '<': return a < b;
    case '<=': return a <= b;
    case '>': return a > b;
    case '>=': return a >= b;
    case '|': return a | b;
    case '&': return a & b;
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '<<': case '>>':
      if (b < 0n || b > MAX_SHIFT) throw wrong(text, at, `a shift by ${b}. Write 0 to ${MAX_SHIFT}.`);
      return operator === '<<' ? a << b : a >> b;
    case '/': case '%':
      if (b === 0n) throw wrong(text, at, 'division by zero.');
      return operator === '/' ? a / b : a % b;
    default: throw wrong(text, at, `${operator} of numbers`);
  }
}

/** @throws UserError with a caret under the place: what cannot be read, names that are not there, types that do not fit */
export function expression(text: string, scope: Scope): Expression {
  if (text.trim() === '') throw new UserError('an expression is missing. Write one as in order < 4 && vma.name == "heap".');
  const root = new Parser(text).whole();
  const fields = new Set<string>();
  const type = typeOf(text, root, scope, fields);
  return { text, type, fields: [...fields], evaluate: (facts) => evaluate(text, root, facts) };
}
/** The same, for one that is to be true or false. A number is true when it is not 0. */
export function condition(text: string, scope: Scope): Expression {
  const made = expression(text, scope);
  if (made.type === 'text') throw wrong(text, 0, 'a text is neither true nor false. Write a comparison, as in vma.name == "heap".');
  return made;
}
export const isTrue = (made: Expression, facts: Facts): boolean => holds(made.evaluate(facts));
