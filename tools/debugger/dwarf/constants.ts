// Numbers of DWARF that are read here, under the standard's names (DWARF 5, chapter 7; those with Gnu are GCC's for DWARF 4).

export const Tag = {
  EntryPoint: 0x03, CompileUnit: 0x11, InlinedSubroutine: 0x1d, Subprogram: 0x2e, PartialUnit: 0x3c, SkeletonUnit: 0x4a,
} as const;

export const At = {
  Name: 0x03, StmtList: 0x10, LowPc: 0x11, HighPc: 0x12, CompDir: 0x1b, Producer: 0x25, AbstractOrigin: 0x31, DeclFile: 0x3a, DeclLine: 0x3b,
  Specification: 0x47, EntryPc: 0x52, Ranges: 0x55, CallColumn: 0x57, CallFile: 0x58, CallLine: 0x59, LinkageName: 0x6e,
  StrOffsetsBase: 0x72, AddrBase: 0x73, RnglistsBase: 0x74, MipsLinkageName: 0x2007, GnuRangesBase: 0x2132, GnuAddrBase: 0x2133,
} as const;

export const Form = {
  Addr: 0x01, Block2: 0x03, Block4: 0x04, Data2: 0x05, Data4: 0x06, Data8: 0x07, String: 0x08, Block: 0x09, Block1: 0x0a, Data1: 0x0b, Flag: 0x0c,
  Sdata: 0x0d, Strp: 0x0e, Udata: 0x0f, RefAddr: 0x10, Ref1: 0x11, Ref2: 0x12, Ref4: 0x13, Ref8: 0x14, RefUdata: 0x15, Indirect: 0x16,
  SecOffset: 0x17, Exprloc: 0x18, FlagPresent: 0x19, Strx: 0x1a, Addrx: 0x1b, RefSup4: 0x1c, StrpSup: 0x1d, Data16: 0x1e, LineStrp: 0x1f,
  RefSig8: 0x20, ImplicitConst: 0x21, Loclistx: 0x22, Rnglistx: 0x23, RefSup8: 0x24, Strx1: 0x25, Strx2: 0x26, Strx3: 0x27, Strx4: 0x28,
  Addrx1: 0x29, Addrx2: 0x2a, Addrx3: 0x2b, Addrx4: 0x2c, GnuAddrIndex: 0x1f01, GnuStrIndex: 0x1f02, GnuRefAlt: 0x1f20, GnuStrpAlt: 0x1f21,
} as const;

/** Kinds of units, DWARF 5. */
export const UnitType = { Compile: 1, Type: 2, Partial: 3, Skeleton: 4, SplitCompile: 5, SplitType: 6 } as const;

/** Entries of .debug_rnglists. */
export const Rle = { EndOfList: 0, BaseAddressx: 1, StartxEndx: 2, StartxLength: 3, OffsetPair: 4, BaseAddress: 5, StartEnd: 6, StartLength: 7 } as const;

/** Standard and extended opcodes of line programs, and what the columns of their tables of files hold. */
export const Lns = {
  Copy: 1, AdvancePc: 2, AdvanceLine: 3, SetFile: 4, SetColumn: 5, NegateStmt: 6, SetBasicBlock: 7, ConstAddPc: 8, FixedAdvancePc: 9,
  SetPrologueEnd: 10, SetEpilogueBegin: 11, SetIsa: 12,
} as const;
export const Lne = { EndSequence: 1, SetAddress: 2, DefineFile: 3, SetDiscriminator: 4 } as const;
export const Lnct = { Path: 1, DirectoryIndex: 2 } as const;

/** Call-frame instructions; the first three carry an operand in their low six bits. */
export const Cfa = {
  AdvanceLoc: 0x40, Offset: 0x80, Restore: 0xc0,
  Nop: 0x00, SetLoc: 0x01, AdvanceLoc1: 0x02, AdvanceLoc2: 0x03, AdvanceLoc4: 0x04, OffsetExtended: 0x05, RestoreExtended: 0x06, Undefined: 0x07,
  SameValue: 0x08, Register: 0x09, RememberState: 0x0a, RestoreState: 0x0b, DefCfa: 0x0c, DefCfaRegister: 0x0d, DefCfaOffset: 0x0e,
  DefCfaExpression: 0x0f, Expression: 0x10, OffsetExtendedSf: 0x11, DefCfaSf: 0x12, DefCfaOffsetSf: 0x13, ValOffset: 0x14, ValOffsetSf: 0x15,
  ValExpression: 0x16, GnuArgsSize: 0x2e,
} as const;

/** How .eh_frame writes a pointer: format in the low four bits, what it is relative to above (LSB, DWARF extensions). */
export const Pe = { Absptr: 0, Uleb: 1, Udata2: 2, Udata4: 3, Udata8: 4, Sleb: 9, Sdata2: 0xa, Sdata4: 0xb, Sdata8: 0xc, Pcrel: 0x10, Omit: 0xff } as const;
