// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

using System.IO;
using UnrealBuildTool;

public class Renderlift : ModuleRules
{
	public Renderlift(ReadOnlyTargetRules Target) : base(Target)
	{
		// The core beside us (Core/) is plain C++17 that knows no engine: a shared PCH or a unity file would force
		// the engine's macros on it.
		PCHUsage = PCHUsageMode.NoPCHs;
		bUseUnity = false;
		CppStandard = CppStandardVersion.Cpp20;
#if UE_5_6_OR_LATER
		CppCompileWarningSettings.ShadowVariableWarningLevel = WarningLevel.Off;
		CppCompileWarningSettings.UndefinedIdentifierWarningLevel = WarningLevel.Off;
#if UE_5_8_OR_LATER
		CppCompileWarningSettings.UnreachableCodeWarningLevel = WarningLevel.Off;  // an error by default
#endif
#elif UE_5_5_OR_LATER
		ShadowVariableWarningLevel = WarningLevel.Off;
		UndefinedIdentifierWarningLevel = WarningLevel.Off;
#else
		ShadowVariableWarningLevel = WarningLevel.Off;
		bEnableUndefinedIdentifierWarnings = false;
#endif

		string CoreDirectory = Path.Combine(ModuleDirectory, "Core");
		if (!Directory.Exists(CoreDirectory))
		{
			throw new BuildException(
				"Renderlift: {0} is missing. Make the plugin with engine_plugin/unreal/assemble.py, which puts the core there.",
				CoreDirectory);
		}
		PrivateIncludePaths.Add(Path.Combine(CoreDirectory, "include"));
		PrivateIncludePaths.Add(Path.Combine(CoreDirectory, "src"));
		PrivateIncludePaths.Add(Path.Combine(CoreDirectory, "third_party", "xxhash"));
		if (Target.Platform == UnrealTargetPlatform.Win64)
		{
			PrivateDefinitions.Add("_CRT_SECURE_NO_WARNINGS");
			PublicSystemLibraries.Add("ws2_32.lib");  // the core's own sockets
		}

		PublicDependencyModuleNames.AddRange(new string[] { "Core", "CoreUObject", "Engine", "DeveloperSettings" });
		PrivateDependencyModuleNames.AddRange(new string[] { "Projects", "RenderCore", "Renderer", "RHI", "RenderliftZmq" });
	}
}
