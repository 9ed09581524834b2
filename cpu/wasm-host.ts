// What the engines need of the WebAssembly JavaScript API; neither ES library nor Node's types are there.
import type { Arena } from '#mmu';
import { Code, ModuleWriter, Simd, Type } from './emit/wasm.ts';

export interface WasmTable { readonly length: number; set(index: number, f: unknown): void }
interface WasmInstance { readonly exports: Readonly<Record<string, unknown>> }
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: Readonly<Record<string, object>>) => WasmInstance;
  Memory: new (d: { initial: number; maximum: number }) => object;
  Table: new (d: { initial: number; element: 'anyfunc' }) => WasmTable;
};

const WASM_PAGE = 65536;
export const memoryPages = (arena: Arena): number => arena.buffer.byteLength / WASM_PAGE;
export const compile = (bytes: Uint8Array): object => new WebAssembly.Module(bytes);
let withPatience = (work: () => object): object => work();
/** A host that compiles first quickly and later well may be told how to compile what shall not be thought hot at once. V8 reckons by the bytes that are
 *  jumped back over, and each turn of the interpreter jumps back over all of it: without this, V8 compiles well what runs for a millisecond, and a process
 *  that ends meanwhile waits for that. @param how does the work, which compiles one module, in that manner */
export function setPatience(how: (work: () => object) => object): void {
  withPatience = how;
}
export const compileInterpreter = (bytes: Uint8Array): object => withPatience(() => compile(bytes));
/** @param env the imports. @returns the exports */
export const instantiate = (module: object, env: object): Readonly<Record<string, unknown>> => new WebAssembly.Instance(module, { env }).exports;
export const functionTable = (length: number): WasmTable => new WebAssembly.Table({ initial: length, element: 'anyfunc' });

/** Does this host's WebAssembly do a * b + c with one rounding? relaxed_madd may round once or twice, but always alike on one host ("Relaxed SIMD",
 *  list of fixed choices); a product whose last bits decide tells. Node 20 must be told to know the instruction
 *  (v8.setFlagsFromString('--experimental-wasm-relaxed-simd'), before the first machine); later ones and browsers do. */
export const hostFuses = (): boolean => (fuses ||= triesFusing());
let fuses = false;
function triesFusing(): boolean {
  const module = new ModuleWriter();
  const c = new Code({ params: [Type.F64, Type.F64, Type.F64], results: [Type.F64] });
  for (const parameter of [0, 1, 2]) c.get(parameter).simd(Simd.f64x2_splat);
  c.simd(Simd.f64x2_relaxed_madd).simd(Simd.f64x2_extract_lane, 0);
  module.add(c, 'fuse');
  const bytes = module.finish(1);
  if (!WebAssembly.validate(bytes)) return false;
  const fuse = instantiate(compile(bytes), { memory: new WebAssembly.Memory({ initial: 1, maximum: 1 }) })['fuse'] as (a: number, b: number, c: number) => number;
  const unit = 2 ** -52;
  return fuse(1 + unit, 1 - unit, -1) === -(unit ** 2);
}
