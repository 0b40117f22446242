// Declarations of our own: as much of Unreal's build tool as our Build.cs files use.
using System;
using System.Collections.Generic;

namespace UnrealBuildTool
{
	public class BuildException : Exception
	{
		public BuildException(string Format, params object[] Arguments) : base(string.Format(Format, Arguments)) { }
	}

	public enum WarningLevel { Off, Warning, Error }
	public enum CppStandardVersion { Cpp17, Cpp20 }
	public class UnrealTargetPlatform
	{
		public static readonly UnrealTargetPlatform Win64 = null;
		public static readonly UnrealTargetPlatform Linux = null;
	}
	public class ReadOnlyTargetRules
	{
		public readonly UnrealTargetPlatform Platform = null;
	}
	public class CppCompileWarnings
	{
		public WarningLevel ShadowVariableWarningLevel, UndefinedIdentifierWarningLevel;
#if UE_5_8_OR_LATER
		public WarningLevel UnreachableCodeWarningLevel;
#endif
	}
	public class RuntimeDependencyList
	{
		public void Add(string Path) { }
		public void Add(string Path, string SourcePath) { }
	}

	public class ModuleRules
	{
		public enum PCHUsageMode { NoPCHs, UseExplicitOrSharedPCHs }
		public enum ModuleType { CPlusPlus, External }

		public ModuleRules(ReadOnlyTargetRules Target) { }

		public PCHUsageMode PCHUsage;
		public ModuleType Type;
		public CppStandardVersion CppStandard;
		public bool bUseUnity;
		// Where warnings are set moved twice.
#if UE_5_6_OR_LATER
		public CppCompileWarnings CppCompileWarningSettings = new CppCompileWarnings();
#elif UE_5_5_OR_LATER
		public WarningLevel ShadowVariableWarningLevel, UndefinedIdentifierWarningLevel;
#else
		public WarningLevel ShadowVariableWarningLevel;
		public bool bEnableUndefinedIdentifierWarnings;
#endif
		public string ModuleDirectory = "";
		public List<string> PrivateIncludePaths = new List<string>();
		public List<string> PublicSystemIncludePaths = new List<string>();
		public List<string> PrivateDefinitions = new List<string>();
		public List<string> PublicSystemLibraries = new List<string>();
		public List<string> PublicAdditionalLibraries = new List<string>();
		public List<string> PublicRuntimeLibraryPaths = new List<string>();
		public List<string> PublicDelayLoadDLLs = new List<string>();
		public List<string> PublicDependencyModuleNames = new List<string>();
		public List<string> PrivateDependencyModuleNames = new List<string>();
		public RuntimeDependencyList RuntimeDependencies = new RuntimeDependencyList();
	}
}
